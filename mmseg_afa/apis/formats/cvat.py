# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Export masks in CVAT's format "Segmentation mask 1.1"."""
import zipfile
from pathlib import Path
from typing import Sequence

import cv2
import numpy as np

from ...datasets.mask_file import encode_mask
from ...utils import IGNORE_INDEX, progress, replacing
from ..photo_mask import PhotoMask
from .common import foreground


def write_cvat(masks: Sequence[PhotoMask], out: Path) -> Path:
    """Write ``out/cvat.zip`` in CVAT's format "Segmentation mask 1.1".

    Connected parts of a class become objects. Ignored pixels (255) become
    background, because the format has no other value for them.

    Args:
        masks (Sequence[PhotoMask]): The masks.
        out (Path): A folder.

    Returns:
        Path: The archive.
    """
    colours, path = masks[0].palette(), out / 'cvat.zip'
    labels = [
        '{}:{},{},{}::\n'.format(name, *colours[i])
        for i, name in enumerate(masks[0].classes)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, zipfile.ZipFile(unfinished,
                                                        'w') as archive:
        archive.writestr('labelmap.txt', ''.join(labels))
        archive.writestr('ImageSets/Segmentation/default.txt',
                         ''.join(f'{mask.photo.name}\n' for mask in masks))
        for mask in progress(masks, 'cvat'):
            pixels, name = mask.read(), mask.photo.name
            pixels[pixels == IGNORE_INDEX] = 0
            archive.writestr(f'SegmentationClass/{name}.png',
                             encode_mask(pixels, colours))
            archive.writestr(f'SegmentationObject/{name}.png',
                             encode_mask(number_objects(pixels)))
    return path


def number_objects(mask: np.ndarray) -> np.ndarray:
    """Assign a number to each connected part of each class.

    Args:
        mask (np.ndarray): uint8 (H, W), without 255.

    Returns:
        np.ndarray: uint8 (H, W). For more than 255 parts, the mask itself.
    """
    found, total = np.zeros(mask.shape, np.int32), 0
    for i in foreground(mask):
        count, parts = cv2.connectedComponents((mask == i).astype(np.uint8))
        found = np.where(parts > 0, parts + total, found)
        total += count - 1
    return found.astype(np.uint8) if total <= 255 else mask
