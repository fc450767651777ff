# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find all problems of the data sets of a config; see check_dataset.py.

The data sets' own readers are used. Each error that would stop training or
validation becomes a :class:`Finding`, and so do some silent problems.
"""
import os.path as osp
from dataclasses import dataclass, field
from functools import partial
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from mmengine.config import Config
from mmseg.registry import DATASETS

from mmseg_afa.datasets import LoadMask, LoadWeakImage, WeakLabelDataset
from mmseg_afa.datasets.image_files import (DataError, find_images,
                                            strip_image_suffix)
from mmseg_afa.datasets.label_file import Tags, index_by_stem
from mmseg_afa.datasets.mask_file import tags_in_mask
from mmseg_afa.utils import UserError, parallel_map

MIN_SIZE = 32  # pixels, the coarsest stride of the networks
MIN_IMAGES = 5  # to train a class on
CLASSES = 'problems with the classes'
IMAGE_LIST = 'problems with the image list'
LABEL_FILE = 'problems with the label file'


class Finding(NamedTuple):
    """A problem of an image, or of the whole data set."""
    kind: str  # its name in tables
    name: str  # the image; '' for the data set
    message: str
    fatal: bool = True  # whether training or validation would stop


@dataclass
class Split:
    """A data set of the config, and the findings about it."""
    dataset: WeakLabelDataset
    needs_masks: bool  # to validate with
    paths: Dict[str, str]  # of each image
    labels: Optional[Dict[str, Tags]]  # None if there is no label file
    tags: Dict[str, Tags]  # the labels, also by names without suffix
    images_of: Dict[str, int]  # of each class; empty if there are no classes
    findings: List[Finding]
    sizes: List[Tuple[int, int]] = field(default_factory=list)  # (H, W)
    usable: int = 0  # images without a fatal finding

    def fatal(self, fixed: bool = False) -> List[Finding]:
        """List the fatal findings.

        Args:
            fixed (bool): List those that would remain with an image list
                without the broken images and wrong lines.
        """
        found = [finding for finding in self.findings if finding.fatal]
        return found if not fixed else [
            finding for finding in found if not finding.name and (
                finding.kind != IMAGE_LIST or not self.usable)
        ]


def open_splits(cfg: Config) -> Dict[str, Split]:
    """Open the data sets of a config that have image-level labels."""
    splits = {}
    for name in ('train', 'val', 'test'):
        dataset = (cfg.get(f'{name}_dataloader') or {}).get('dataset') or {}
        kind = dataset.get('type')
        kind = DATASETS.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, WeakLabelDataset):
            splits[name] = open_split(dataset)
    return splits


def open_split(cfg: dict) -> Split:
    """Read the classes, the image list and the label file of a data set."""
    found = {}  # by message: several readers may raise the same error

    def attempt(kind, read, *args, rest=None):
        """Record what cannot be read, and return the rest."""
        try:
            return read(*args)
        except UserError as error:
            for problem in getattr(error, 'problems', [str(error)]):
                found[problem] = Finding(kind, '', problem)
            return getattr(error, 'rest', rest)

    lazy = {**cfg, 'lazy_init': True, 'pipeline': []}
    dataset = attempt(CLASSES, DATASETS.build, lazy)
    if not isinstance(dataset, WeakLabelDataset):
        # Use the classes of a broken label file, if they can be read.
        classes = (dataset and dataset[0]) or ()
        lazy.update(metainfo=dict(classes=('background', *classes)))
        dataset = DATASETS.build(lazy)
    _, labels = attempt(LABEL_FILE, dataset.read_labels) or (None, None)
    tags = index_by_stem(labels or {})
    names = attempt(IMAGE_LIST, dataset.list_names, rest=[])
    paths, _ = attempt(IMAGE_LIST, dataset.find_images, names, rest=({}, []))

    loads_masks = any(
        step.get('type') in ('LoadMask', LoadMask)
        for step in cfg.get('pipeline', ()))
    has_masks = 'seg_map_path' in dataset.data_prefix
    findings = list(found.values())
    if loads_masks and not has_masks:
        findings.append(
            Finding(
                'problems with the folder of masks', '',
                "data_prefix has no 'seg_map_path', but the pipeline has "
                'LoadMask. Add the one, or remove the other.'))
    classes = dataset.metainfo['classes'][1:]
    return Split(dataset, has_masks and (loads_masks or dataset.test_mode),
                 paths, labels, tags, dict.fromkeys(classes, 0), findings)


def check(splits: Dict[str, Split], names: Sequence[str],
          workers: int) -> None:
    """Examine all images of the data sets `names`, in place."""
    label_files = set()
    for name in names:
        split = splits[name]
        for size, shown, findings in parallel_map(
                partial(examine, split), list(split.paths), workers,
                f'Examining {name}'):
            split.findings += findings
            if size:
                split.sizes.append(size)
            if not any(finding.fatal for finding in findings):
                split.usable += 1
                for one in split.images_of.keys() & shown:
                    split.images_of[one] += 1
        few = MIN_IMAGES if name == 'train' else 1
        rare = f'classes with 1 to {MIN_IMAGES - 1} training images'
        split.findings += [
            Finding(rare if count else 'classes without images', '',
                    f'{one}: {count}.', False)
            for one, count in split.images_of.items()
            if count < few and split.paths
        ]
        if split.dataset.label_file not in label_files:
            label_files.add(split.dataset.label_file)
            split.findings += unused_lines(split, splits.values())
        if name != 'train' and 'train' in names:
            split.findings += overlap(splits['train'], split)
        split.findings.sort(
            key=lambda finding: (not finding.fatal, *finding[:2]))


def examine(split: Split, name: str) -> tuple:
    """Open the files of an image, as training and validation do.

    Returns:
        tuple: The size (H, W), or None if the image cannot be read; the tags,
        or the classes of the mask if the label file has no line; the findings.
    """
    dataset, path = split.dataset, split.paths[name]
    sample = dataset.image_info(path)
    mask_path = sample.get('seg_map_path')
    tags, shown, findings = split.tags.get(name), None, []

    def found(kind, message, fatal=True):
        findings.append(Finding(kind, name, message, fatal))

    try:
        LoadWeakImage(backend_args=dataset.backend_args)(sample)
    except (OSError, UserError) as error:
        missing = isinstance(error, FileNotFoundError)
        found('missing images' if missing else 'unreadable images', str(error))
    size = sample.get('img_shape')
    if size and min(size) < MIN_SIZE:
        found(f'images smaller than {MIN_SIZE} pixels',
              f'{path}: height and width are {size}.', False)

    if tags == ():
        found('images without any tag', f'{path}: no tags.', False)
    elif tags is None and split.labels is not None and not dataset.test_mode:
        found(
            'images without a line in the label file',
            f'{path}: the label file has no line for {name!r}. Add a line, '
            'with nothing after the colon if the image has no tags.')

    if mask_path and split.images_of:
        try:
            LoadMask(backend_args=dataset.backend_args)(sample)
            shown = set(
                tags_in_mask(sample['gt_seg_map'], list(split.images_of)))
        except FileNotFoundError as error:
            if split.needs_masks:
                found('missing masks', str(error))
        except (OSError, UserError) as error:
            found('wrong masks', str(error), split.needs_masks)
    if None not in (tags, shown):
        # `metainfo` may leave out classes: ignore their tags.
        tagged = split.images_of.keys() & tags
        for kind, names in (('images whose mask shows a class without a tag',
                             shown - tagged),
                            ('images with a tag that is not in the mask',
                             tagged - shown)):
            if names:
                found(kind, f'{mask_path}: {", ".join(sorted(names))}.', False)
    return size, (shown or ()) if tags is None else tags, findings


def unused_lines(split: Split, splits: Iterable[Split]) -> List[Finding]:
    """Find the lines of the label file whose images do not exist.

    The images may be those of another data set with the same label file.
    """
    file = split.dataset.label_file
    users = [other for other in splits if other.dataset.label_file == file]
    folders = {user.dataset.data_prefix['img_path']: user for user in users}
    known = {name for user in users for name in user.paths}
    for folder, user in folders.items():
        try:
            images, _ = find_images(folder, user.dataset.img_suffix, None,
                                    user.dataset.backend_args)
        except DataError:
            return []  # reported already
        if not images:
            return []  # all images of a data set are missing
        known.update(images)
    return [
        Finding(
            'lines of the label file without an image', name,
            f'{file}: {name!r} is not in {" or ".join(folders)}. Correct the '
            'name, add the image, or remove the line.', False)
        for name in split.labels or ()
        if known.isdisjoint((name, strip_image_suffix(name)))
    ]


def overlap(train: Split, other: Split) -> List[Finding]:
    """Find images of another data set that are trained on, by their files.

    Different folders may have different images of the same name.
    """
    trained = set(map(osp.normpath, train.paths.values()))
    return [
        Finding('images that are trained on, too', name,
                f'{path}: trained on, too.', False)
        for name, path in other.paths.items() if osp.normpath(path) in trained
    ]
