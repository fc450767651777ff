# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find all problems of the data sets of a config; see check_dataset.py.

The data sets' own readers are used. Each error that would stop training or
validation becomes a :class:`Finding`, and so do some silent problems.
"""
import os.path as osp
from dataclasses import dataclass
from functools import partial
from typing import Collection, Dict, Iterable, List, NamedTuple

from mmengine.config import Config
from mmseg.registry import DATASETS

from mmseg_afa.datasets import LoadMask, LoadWeakImage, WeakLabelDataset
from mmseg_afa.datasets.image_files import strip_image_suffix
from mmseg_afa.datasets.label_file import Tags, index_by_stem
from mmseg_afa.datasets.mask_file import tags_in_mask
from mmseg_afa.evaluation.metrics.truth import NO_CLASS
from mmseg_afa.utils import UserError, parallel_map

MIN_SIZE = 32  # pixels, the coarsest stride of the networks
MIN_IMAGES = 5  # to train a class on


class Finding(NamedTuple):
    """A problem of an image, or of the whole data set."""
    kind: str
    name: str  # the image; '' for the data set
    message: str
    fatal: bool = True  # whether training or validation would stop


@dataclass
class Split:
    """A data set of the config, and the findings about it."""
    dataset: WeakLabelDataset
    needs_masks: bool
    has_list: bool  # otherwise a folder is the list
    paths: Dict[str, str]  # of each image
    trusted: Dict[str, str]  # masks of some training images
    tags: Dict[str, Tags]  # of each line of the label file
    images_of: Dict[str, int]  # of each class; empty if there are no classes
    findings: List[Finding]

    def usable(self) -> List[str]:
        """List the images without a fatal finding."""
        broken = {finding.name for finding in self.findings if finding.fatal}
        return [name for name in self.paths if name not in broken]


def open_splits(cfg: Config) -> Dict[str, Split]:
    """Open the data sets of a config that have image-level labels."""
    splits, opened = {}, []
    for name in ('train', 'val', 'test'):
        dataset = (cfg.get(f'{name}_dataloader') or {}).get('dataset')
        if dataset is None or dataset in opened:
            continue
        opened.append(dataset)
        if issubclass(DATASETS.get(dataset.type), WeakLabelDataset):
            splits[name] = open_split(dataset)
        else:
            print(f'{name}: skipped: a {dataset.type} has no image-level '
                  'labels.')
    return splits


def open_split(cfg: dict) -> Split:
    """Read the classes, the image list and the label file of a data set."""
    found = {}  # by message: several readers may raise the same error

    def attempt(read, *args, rest=None):
        """Record what cannot be read, and return the rest."""
        try:
            return read(*args)
        except UserError as error:
            for problem in getattr(error, 'problems', [str(error)]):
                found[problem] = Finding(
                    'problems with the label file or the image list', '',
                    problem)
            return getattr(error, 'rest', rest)

    lazy = {**cfg, 'lazy_init': True, 'pipeline': []}
    dataset = attempt(DATASETS.build, lazy)
    if not isinstance(dataset, WeakLabelDataset):
        # Use the classes of a broken label file, if they can be read.
        classes = (dataset and dataset[0]) or ()
        lazy.update(metainfo=dict(classes=('background', *classes)))
        dataset = DATASETS.build(lazy)
    _, labels = attempt(dataset.read_labels) or (None, {})
    tags = index_by_stem(labels)
    names = attempt(dataset.list_names, rest=[])
    paths, _ = attempt(dataset.find_images, names, rest=({}, []))
    trusted = attempt(dataset.find_trusted_masks, paths, rest={})
    findings = list(found.values())
    if (names is None and not dataset.test_mode
            and not paths.keys().isdisjoint(tags)):
        left_out = [name for name in paths if name not in tags]
        findings += [
            no_line(name, paths.pop(name), False) for name in left_out
        ]

    loads_masks = any(step.type == 'LoadMask'
                      for step in cfg.get('pipeline', ()))
    has_masks = 'seg_map_path' in dataset.data_prefix
    classes = dataset.metainfo['classes'][1:]
    needs_masks = has_masks and (loads_masks or dataset.test_mode)
    return Split(dataset, needs_masks, names is not None, paths, trusted, tags,
                 dict.fromkeys(classes, 0), findings)


def no_line(name: str, path: str, fatal: bool) -> Finding:
    """Say that an image has no line in the label file.

    Training leaves out such images of a folder, but not those of a list.
    """
    return Finding(
        'images without a line in the label file', name,
        f'{path}: the label file has no line for {name!r}. Add a line, or '
        'leave out the image if it is not tagged yet.', fatal)


def check(splits: Dict[str, Split]) -> None:
    """Examine all images of the data sets, in place."""
    for name, split in splits.items():
        absent = dict(split.images_of)  # the classes that no mask shows
        for tags, shown, findings in parallel_map(
                partial(examine, split),
                list(split.paths),
                description=f'Examining {name}'):
            split.findings += findings
            for one in split.images_of.keys() & tags:
                split.images_of[one] += 1
            for one in shown:
                absent.pop(one, None)
        if name != 'train' and split.needs_masks and split.paths:
            split.findings += find_absent(split, absent)
        if name == 'train':
            split.findings += [
                Finding(f'classes with fewer than {MIN_IMAGES} images', '',
                        f'{one}: {count}.', False)
                for one, count in split.images_of.items() if count < MIN_IMAGES
            ]
            split.findings += unused_lines(split, splits.values())
        elif 'train' in splits:
            split.findings += overlap(splits['train'], split)
        split.findings.sort(
            key=lambda finding: (not finding.fatal, *finding[:2]))


def find_absent(split: Split, absent: Collection[str]) -> List[Finding]:
    """Find the classes that no mask shows."""
    if len(absent) == len(split.images_of):
        return [Finding('masks without any class', '', NO_CLASS)]
    kind = 'classes that no mask shows'
    return [Finding(kind, '', f'{one}.', False) for one in absent]


def examine(split: Split, name: str) -> tuple:
    """Open the files of an image, as training and validation do.

    Return the tags, or else the classes of the mask; the classes of the mask;
    and the findings.
    """
    dataset, path = split.dataset, split.paths[name]
    sample = dataset.image_info(path)
    trusted = split.trusted.get(name)
    mask_path = sample['seg_map_path'] = trusted or sample.get('seg_map_path')
    needs_mask = bool(trusted) or split.needs_masks
    tags, shown, findings = split.tags.get(name), None, []

    def found(kind, message, fatal=True):
        findings.append(Finding(kind, name, message, fatal))

    try:
        LoadWeakImage(backend_args=dataset.backend_args)(sample)
    except (OSError, UserError) as error:
        found('missing or unreadable images', str(error))
    size = sample.get('img_shape')
    if size and min(size) < MIN_SIZE:
        found(f'images smaller than {MIN_SIZE} pixels',
              f'{path}: height and width are {size}.', False)

    if tags == ():
        found('images without any tag', f'{path}: no tags.', False)
    elif tags is None and not dataset.test_mode:
        findings.append(no_line(name, path, True))

    if mask_path and split.images_of:
        try:
            LoadMask(backend_args=dataset.backend_args)(sample)
            shown = set(
                tags_in_mask(sample['gt_seg_map'], list(split.images_of)))
        except (OSError, UserError) as error:
            missing = isinstance(error, FileNotFoundError)
            if needs_mask or not missing:
                found('missing or wrong masks', str(error), needs_mask)
    if None not in (tags, shown):
        # `metainfo` may leave out classes: ignore their tags.
        differing = shown ^ (split.images_of.keys() & tags)
        if differing:
            found(
                'images whose mask and tags differ',
                f'{mask_path}: only one of mask and tags has '
                f'{", ".join(sorted(differing))}.', False)
    shown = shown or ()
    return shown if tags is None else tags, shown, findings


def unused_lines(train: Split, splits: Iterable[Split]) -> List[Finding]:
    """Find the lines of the label file whose images are in no data set."""
    if train.has_list:  # which may leave out images
        return []
    known = {name for split in splits for name in split.paths}
    file = train.dataset.label_file
    return [
        Finding(
            'lines of the label file without an image', name,
            f'{file}: {name!r} is in no data set of the config. Correct the '
            'name, add the image, or remove the line.', False)
        for name in {*map(strip_image_suffix, train.tags)} - known
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
