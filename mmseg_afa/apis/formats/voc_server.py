# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What the evaluation server of PASCAL VOC 2012 takes."""
import tarfile
from pathlib import Path
from typing import Sequence

from mmseg.datasets import PascalVOCDataset

from ...utils import IGNORE_INDEX, progress, replacing
from .photo_mask import PhotoMask

# Competition 6: any training data; ImageNet weights are more than VOC's own.
FOLDER = 'results/VOC2012/Segmentation/comp6_test_cls'
NUM_TEST = 1456  # images of the test set
CLASSES = PascalVOCDataset.METAINFO['classes']


def write_voc_server(photos: Sequence[PhotoMask], classes: Sequence[str],
                     out: Path) -> Path:
    """Write ``out/voc-server.tgz``.

    Args:
        photos (Sequence[PhotoMask]): The photos, of VOC's test set.
        classes (Sequence[str]): VOC's 21, in its order.
        out (Path): A folder.

    Returns:
        Path: The archive.

    Raises:
        ValueError: If these are not VOC's classes or test images, or a mask
            has pixels of no class.
    """
    if tuple(classes) != CLASSES:
        raise ValueError(
            "--format voc-server: the model's classes are not VOC's: found "
            f'{", ".join(classes)}, expected {", ".join(CLASSES)}.')
    names = [photo.name for photo in photos]
    odd = [name for name in names if not is_voc_name(name)]
    if odd or len(names) != NUM_TEST:
        example = f', such as {odd[0]!r}, which is none' if odd else ''
        raise ValueError(
            f'--format voc-server: the server takes the {NUM_TEST} images of '
            f"VOC's test set, found {len(names)}{example}. Name the folder "
            'JPEGImages and, with --list, ImageSets/Segmentation/test.txt.')
    path = out / 'voc-server.tgz'
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, tarfile.open(unfinished,
                                                     'w:gz') as archive:
        for photo in progress(photos, 'voc-server'):
            if (photo.read() == IGNORE_INDEX).any():
                raise ValueError(
                    f'{photo.mask}: has pixels of 255, which the server does '
                    'not take: leave out --unsure, and take a --source other '
                    'than labels.')
            archive.add(photo.mask, f'{FOLDER}/{photo.name}.png')
    return path


def is_voc_name(name: str) -> bool:
    """Whether a name is like '2008_000006'."""
    year, _, number = name.partition('_')
    return (len(year), len(number)) == (4, 6) and (year + number).isdigit()
