# Copyright (c) mmseg_afa contributors. All rights reserved.
"""CVAT's "Segmentation mask 1.1"."""
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Sequence

import cv2
import numpy as np
from PIL import Image

from ...datasets.mask_file import PALETTE
from ...utils import progress, replacing
from .photo_mask import PhotoMask, classes_in


def write_cvat(photos: Sequence[PhotoMask], classes: Sequence[str],
               out: Path) -> Path:
    """Write ``out/cvat.zip``, to import as annotations of a task.

    Connected parts of a class become objects. Where nothing is said (255)
    there is background: CVAT knows nothing else.

    Args:
        photos (Sequence[PhotoMask]): The photos.
        classes (Sequence[str]): Names of 0..C.
        out (Path): A folder.

    Returns:
        Path: The archive.
    """
    colours = photos[0].palette()
    path = out / 'cvat.zip'
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, zipfile.ZipFile(unfinished,
                                                        'w') as archive:
        lines = [
            '{}:{},{},{}::'.format(name, *colours[i])
            for i, name in enumerate(classes)
        ]
        archive.writestr('labelmap.txt', '\n'.join(lines) + '\n')
        archive.writestr('ImageSets/Segmentation/default.txt',
                         ''.join(f'{photo.name}\n' for photo in photos))
        for photo in progress(photos, 'cvat'):
            mask = photo.read()
            mask[mask >= len(classes)] = 0
            archive.writestr(f'SegmentationClass/{photo.name}.png',
                             _png(colours[mask]))
            archive.writestr(f'SegmentationObject/{photo.name}.png',
                             _png(objects(mask, len(classes))))
    return path


def objects(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """A colour for each connected part of a class, uint8 (H, W, 3); the
    smallest of more than 255 parts are left out."""
    found, sizes, total = np.zeros(mask.shape, np.int64), [0], 0
    for i in classes_in(mask, num_classes):
        count, parts, stats, _ = cv2.connectedComponentsWithStats(
            (mask == i).astype(np.uint8))
        found = np.where(parts > 0, parts + total, found)
        sizes += stats[1:, cv2.CC_STAT_AREA].tolist()
        total += count - 1
    largest = np.argsort(-np.array(sizes[1:]), kind='stable')[:255] + 1
    number = np.zeros(total + 1, np.int64)
    number[np.sort(largest)] = np.arange(1, len(largest) + 1)
    return np.array(PALETTE, np.uint8).reshape(-1, 3)[number[found]]


def _png(picture: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(picture).save(file, 'PNG', compress_level=3)
    return file.getvalue()
