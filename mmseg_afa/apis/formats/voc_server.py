# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Export masks for the evaluation server of PASCAL VOC 2012."""
import re
import tarfile
from pathlib import Path
from typing import Sequence

from mmseg.datasets import PascalVOCDataset

from ...utils import IGNORE_INDEX, UserError, progress, replacing
from ..photo_mask import PhotoMask
from ..photos import Photo

# Competition 6: other training data than VOC's own, such as ImageNet weights.
FOLDER = 'results/VOC2012/Segmentation/comp6_test_cls'
NUM_TEST = 1456  # images of the test set


def write_voc_server(masks: Sequence[PhotoMask], out: Path) -> Path:
    """Write ``out/voc-server.tgz`` for the evaluation server of VOC 2012.

    Args:
        masks (Sequence[PhotoMask]): The masks of VOC's test set.
        out (Path): A folder.

    Returns:
        Path: The archive.

    Raises:
        UserError: See :func:`check_voc_server`. Also if a mask has ignored
            pixels.
    """
    check_voc_server([mask.photo for mask in masks], masks[0].classes)
    path = out / 'voc-server.tgz'
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, tarfile.open(unfinished,
                                                     'w:gz') as archive:
        for mask in progress(masks, 'voc-server'):
            if (mask.read() == IGNORE_INDEX).any():
                raise UserError(
                    f'{mask.path}: has pixels of 255, which the server does '
                    'not accept. Leave out --unsure, and use a --source other '
                    'than labels.')
            archive.add(mask.path, f'{FOLDER}/{mask.photo.name}.png')
    return path


def check_voc_server(photos: Sequence[Photo], classes: Sequence[str]) -> None:
    """Check that photos and classes are those of VOC's test set."""
    expected = PascalVOCDataset.METAINFO['classes']
    if tuple(classes) != expected:
        raise UserError(
            "--format voc-server: the model's classes are not VOC's. Found "
            f'{", ".join(classes)}, expected {", ".join(expected)}.')
    odd = [
        photo.name for photo in photos
        if not re.fullmatch(r'\d{4}_\d{6}', photo.name)
    ]
    if odd or len(photos) != NUM_TEST:
        example = f', such as {odd[0]!r}, which is not one' if odd else ''
        raise UserError(
            f'--format voc-server: the server takes the {NUM_TEST} '
            f"images of VOC's test set, found {len(photos)}{example}. Name "
            'the folder JPEGImages and, with --list, '
            'ImageSets/Segmentation/test.txt.')
