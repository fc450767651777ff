# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Look for all that is wrong with a data set, before training meets it.

:func:`open_split` reads what the data set reads first: its classes, image list
and label file. :func:`examine` opens the files of an image, and :func:`fold`
adds up what was found. None of them raises an error for what is wrong with
the data: each problem is a :class:`Finding`.
"""
import os.path as osp
from collections import Counter
from dataclasses import dataclass, field
from typing import (Dict, Iterable, Iterator, List, NamedTuple, Optional, Set,
                    Tuple)

import numpy as np
from mmseg.registry import DATASETS

from .image_list import by_stem, composed
from .label_file import Labels, read_label_file
from .mask_file import tags_in_mask
from .transforms import LoadMask, LoadWeakImage
from .weak_label import WeakLabelDataset

MIN_SIZE = 32  # pixels; the networks' coarsest features have this stride
MIN_IMAGES = 5  # to train a class on

# Kinds of findings, as tables name them.
CLASSES = 'problems with the classes'
IMAGE_LIST = 'problems with the image list'
LABEL_FILE = 'problems with the label file'
MASK_FOLDER = 'problems with the folder of masks'
MISSING_IMAGE = 'missing images'
UNREADABLE_IMAGE = 'unreadable images'
NO_LABELS = 'images without a line in the label file'
MISSING_MASK = 'missing masks'
WRONG_MASK = 'unreadable masks or with values of no class'
MASK_SIZE = 'masks of another size than the image'
NO_TAGS = 'images without any tag'
SMALL_IMAGE = f'images smaller than {MIN_SIZE} pixels'
NOT_TAGGED = 'images whose mask shows a class that is no tag'
NOT_SHOWN = 'images with a tag that is not in the mask'
UNSEEN_CLASS = 'classes without images'
RARE_CLASS = f'classes with 1 to {MIN_IMAGES - 1} training images'
OVERLAP = 'training images that are in here, too'
KINDS = (CLASSES, IMAGE_LIST, LABEL_FILE, MASK_FOLDER, MISSING_IMAGE,
         UNREADABLE_IMAGE, NO_LABELS, MISSING_MASK, WRONG_MASK, MASK_SIZE,
         NO_TAGS, SMALL_IMAGE, NOT_TAGGED, NOT_SHOWN, UNSEEN_CLASS, RARE_CLASS,
         OVERLAP)


class Finding(NamedTuple):
    """Something that is wrong.

    Attributes:
        kind (str): One of `KINDS`.
        name (str): The image; '' for what is wrong with the data set itself.
        message (str): What was found where, and what to do.
        fatal (bool): Whether it stops the training or validation.
    """
    kind: str
    name: str
    message: str
    fatal: bool = True


class ImageFiles(NamedTuple):
    """An image to examine.

    Attributes:
        name (str): Its name in the image list.
        path (str): The file.
        mask_path (str, optional): Its mask, if there are any.
        tags (tuple[str], optional): Its tags; None if the label file has no
            line for it.
    """
    name: str
    path: str
    mask_path: Optional[str]
    tags: Optional[Tuple[str, ...]]


class Rules(NamedTuple):
    """What the images of a split have to comply with.

    Attributes:
        classes (tuple[str]): The foreground classes; none if not known.
        label_map (dict, optional): See :class:`LoadMask`.
        needs_labels (bool): Whether each image needs a line.
        needs_masks (bool): Whether each image needs a mask.
        backend_args (dict, optional): Where the files are kept.
    """
    classes: Tuple[str, ...]
    label_map: Optional[dict]
    needs_labels: bool
    needs_masks: bool
    backend_args: Optional[dict]


class Split(NamedTuple):
    """A data set that was opened, and not read further than its lists.

    Attributes:
        dataset (WeakLabelDataset): It knows the folders.
        paths (dict[str, str]): The images, name and file.
        labels (dict, optional): Their tags, under composed names; None if
            there is no label file.
        rules (Rules): What its images have to comply with.
        findings (list[Finding]): What is wrong with the lists.
    """
    dataset: WeakLabelDataset
    paths: Dict[str, str]
    labels: Optional[Labels]
    rules: Rules
    findings: List[Finding]

    def images(self) -> Iterator[ImageFiles]:
        """The images, in the order of the list."""
        masks = self.dataset.data_prefix.get('seg_map_path')
        for name, path in self.paths.items():
            yield ImageFiles(
                name, path, None if masks is None else osp.join(
                    masks, name + self.dataset.seg_map_suffix),
                (self.labels or {}).get(composed(name)))


class Record(NamedTuple):
    """What was found out about an image.

    Attributes:
        name (str): Its name.
        size (tuple[int], optional): Height and width; None if unreadable.
        shows (tuple[str]): Its tags, or the classes in its mask if the label
            file has no line for it.
        findings (tuple[Finding]): What is wrong with it.
    """
    name: str
    size: Optional[Tuple[int, int]]
    shows: Tuple[str, ...]
    findings: Tuple[Finding, ...]


@dataclass
class Report:
    """What was found out about a split.

    Attributes:
        images (int): How many there are.
        usable (int): How many have nothing fatal.
        heights (Counter): How many images, broken ones too if they could be
            read, have which height.
        widths (Counter): The same of the width.
        classes (dict): How many of the usable images show which class.
        findings (list[Finding]): Sorted by kind and name.
    """
    images: int = 0
    usable: int = 0
    heights: Counter = field(default_factory=Counter)
    widths: Counter = field(default_factory=Counter)
    classes: Dict[str, int] = field(default_factory=dict)
    findings: List[Finding] = field(default_factory=list)

    def of_kind(self, kind: str) -> List[Finding]:
        """The findings of a kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def broken(self) -> Set[str]:
        """The names of the images that have something fatal."""
        return {found.name for found in self.findings if found.fatal} - {''}

    def fatal(self) -> List[Finding]:
        """What stops the training."""
        return [finding for finding in self.findings if finding.fatal]

    def unfixable(self) -> List[Finding]:
        """What would still stop it with an image list that leaves out the
        broken images and the wrong lines."""
        return [
            finding for finding in self.fatal() if not finding.name and (
                finding.kind != IMAGE_LIST or not self.usable)
        ]


def open_split(cfg: dict) -> Split:
    """Read the classes, the image list and the label file of a data set.

    Args:
        cfg (dict): Its config; the type is a :class:`WeakLabelDataset`.

    Returns:
        Split: The data set, with what is wrong with these files.
    """
    lazy = {**cfg, 'lazy_init': True, 'pipeline': []}
    findings, class_error = [], None
    try:
        dataset = DATASETS.build(lazy)
        classes = tuple(dataset.metainfo['classes'])
    except (OSError, ValueError) as error:
        # The label file may be all that is wrong, so look at the rest.
        dataset = DATASETS.build({
            **lazy, 'metainfo':
            dict(classes=('background', ))
        })
        classes, class_error = (), str(error)
    if classes and classes[0] != 'background':
        findings.append(
            Finding(
                CLASSES, '', f'metainfo.classes begins with {classes[0]!r}: '
                "put 'background' first."))
        classes = ('background', *classes)
    known = dataset.METAINFO.get('classes', classes)[1:]
    listed, labels, label_errors = _read_labels(dataset, known)
    if class_error and class_error not in label_errors:
        findings.append(Finding(CLASSES, '', class_error))
    if not classes and listed:
        classes = ('background', *listed)
    paths, list_errors = _find_files(dataset)
    findings += [Finding(LABEL_FILE, '', text) for text in label_errors]
    findings += [Finding(IMAGE_LIST, '', text) for text in list_errors]

    loads_masks = any(
        isinstance(step, dict) and step.get('type') in ('LoadMask', LoadMask)
        for step in cfg.get('pipeline', ()))
    has_masks = dataset.data_prefix.get('seg_map_path') is not None
    if loads_masks and not has_masks:
        findings.append(
            Finding(
                MASK_FOLDER, '', "data_prefix has no 'seg_map_path', and the "
                'pipeline has LoadMask: add the one, or take out the other.'))
    rules = Rules(classes[1:], dataset.label_map, labels is not None
                  and not dataset.test_mode, has_masks
                  and (loads_masks or dataset.test_mode), dataset.backend_args)
    return Split(dataset, paths, labels, rules, findings)


def _read_labels(dataset, known):
    """The listed classes, the tags of the images, and what is wrong."""
    errors = []
    if not dataset.label_file:
        if not dataset.test_mode:
            errors.append('There is no label_file to train with: set it.')
        return None, None, errors
    try:
        listed, labels = read_label_file(dataset.label_file, known or None,
                                         dataset.backend_args, errors)
    except (OSError, ValueError) as error:
        # Masks take its place where it is missing in validation.
        if not (dataset.test_mode and isinstance(error, FileNotFoundError)):
            errors.append(str(error))
        return None, None, errors
    return listed, by_stem(dataset.label_file, labels, errors), errors


def _find_files(dataset):
    """Name and file of the images, and what is wrong with their list."""
    errors = []
    try:
        return dataset.find_files(dataset.list_names(errors), errors), errors
    except (OSError, ValueError) as error:
        return {}, [*errors, str(error)]


def examine(image: ImageFiles, rules: Rules) -> Record:
    """Open the files of an image, as training and validation do.

    Args:
        image (ImageFiles): The files.
        rules (Rules): What they have to comply with.

    Returns:
        Record: What was found out.
    """
    findings = []

    def found(kind, message, fatal=True):
        findings.append(Finding(kind, image.name, message, fatal))

    size = None
    try:
        loader = LoadWeakImage(backend_args=rules.backend_args)
        size = loader.transform(dict(img_path=image.path))['img_shape']
    except FileNotFoundError as error:
        found(MISSING_IMAGE, str(error))
    except (OSError, ValueError) as error:
        found(UNREADABLE_IMAGE, str(error))
    if size and min(size) < MIN_SIZE:
        found(SMALL_IMAGE, f'{image.path}: height and width are {size}.',
              False)

    if image.tags is None and rules.needs_labels:
        found(
            NO_LABELS, f'{image.path}: the label file has no line for '
            f'{image.name!r}. Add it, with nothing behind the colon if the '
            'image has no tags.')
    elif image.tags == ():
        found(NO_TAGS, f'{image.path}: no tags.', False)

    in_mask = None
    if image.mask_path is not None and rules.classes:
        try:
            mask = _load_mask(image, rules)
            if size and mask.shape != size:
                found(
                    MASK_SIZE, f'{image.mask_path}: height and width are '
                    f'{mask.shape}, those of {image.path} are {size}: make '
                    'the mask again, without resizing.', rules.needs_masks)
            in_mask = tags_in_mask(mask, rules.classes)
        except FileNotFoundError as error:
            if rules.needs_masks:
                found(MISSING_MASK, str(error))
        except (OSError, ValueError) as error:
            found(WRONG_MASK, str(error), rules.needs_masks)
    if in_mask is not None and image.tags is not None:
        # Tags of classes that `metainfo` leaves out are none.
        tags = set(image.tags).intersection(rules.classes)
        for kind, differing in ((NOT_TAGGED, set(in_mask) - tags),
                                (NOT_SHOWN, tags.difference(in_mask))):
            if differing:
                found(kind,
                      f'{image.mask_path}: {", ".join(sorted(differing))}'
                      '.', False)
    shows = in_mask if image.tags is None else image.tags
    return Record(image.name, size, tuple(shows or ()), tuple(findings))


def _load_mask(image, rules):
    loader = LoadMask(len(rules.classes) + 1, backend_args=rules.backend_args)
    return loader.transform(
        dict(
            img_path=image.path,
            seg_map_path=image.mask_path,
            label_map=rules.label_map))['gt_seg_map']


def fold(records: Iterable[Record],
         classes: Iterable[str] = (),
         findings: Iterable[Finding] = (),
         training: bool = False) -> Report:
    """Add up what was found out about the images of a split.

    The memory that it takes grows with the number of problems, of classes and
    of different sizes, but not with that of images.

    Args:
        records (Iterable[Record]): Of the images, in any order.
        classes (Iterable[str]): The foreground classes.
        findings (Iterable[Finding]): What is wrong with the lists.
        training (bool): Whether to report classes with few images, not
            only those without.

    Returns:
        Report: The sum.
    """
    report = Report(classes=dict.fromkeys(classes, 0), findings=list(findings))
    for record in records:
        report.images += 1
        report.findings += record.findings
        if record.size:
            report.heights[record.size[0]] += 1
            report.widths[record.size[1]] += 1
        if not any(finding.fatal for finding in record.findings):
            report.usable += 1
            for name in set(record.shows).intersection(report.classes):
                report.classes[name] += 1
    if report.images:
        few = MIN_IMAGES if training else 1
        report.findings += [
            Finding(RARE_CLASS if count else UNSEEN_CLASS, '',
                    f'{name}: {count}.', False)
            for name, count in report.classes.items() if count < few
        ]
    _sort(report)
    return report


def _sort(report):
    report.findings.sort(
        key=lambda finding: (KINDS.index(finding.kind), *finding[1:]))


def add_overlap(training: Split, other: Split, report: Report) -> None:
    """Report images of another split that are trained on, too.

    Images count as the same if their files are: in different folders there
    can be different images of the same name.

    Args:
        training (Split): The training images.
        other (Split): Those to validate or test on.
        report (Report): That of ``other``; changed in place.
    """
    trained = {osp.normpath(image.path) for image in training.images()}
    report.findings += [
        Finding(OVERLAP, image.name, f'{image.path}: trained on, too.', False)
        for image in other.images() if osp.normpath(image.path) in trained
    ]
    _sort(report)


def min_median_max(counts: Counter) -> Tuple[int, int, int]:
    """Of a distribution of integers; of two medians the lower one.

    Args:
        counts (Counter): How often which number occurs; not empty.
    """
    numbers = sorted(counts)
    ranks = np.cumsum([counts[number] for number in numbers])
    median = numbers[np.searchsorted(ranks, ranks[-1] / 2)]
    return numbers[0], median, numbers[-1]
