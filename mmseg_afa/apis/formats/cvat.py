# Copyright (c) mmseg_afa contributors. All rights reserved.
"""CVAT's "Segmentation mask 1.1"."""
import zipfile
from pathlib import Path
from typing import Sequence

import cv2
import numpy as np

from ...datasets.mask_file import encode_mask
from ...utils import progress, replacing
from .photo_mask import PhotoMask, classes_in


def write_cvat(photos: Sequence[PhotoMask], classes: Sequence[str],
               out: Path) -> Path:
    """Write ``out/cvat.zip``, to import as annotations of a task.

    Connected parts of a class become objects; the whole class does in a mask
    of more parts than there are colours. Where nothing is said (255) there is
    background: CVAT knows nothing else.

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
                             encode_mask(mask, colours))
            archive.writestr(f'SegmentationObject/{photo.name}.png',
                             encode_mask(objects(mask, len(classes))))
    return path


def objects(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """The connected parts of the classes numbered, uint8 (H, W); the classes
    themselves where there are more than 255 parts."""
    found, total = np.zeros(mask.shape, np.int32), 0
    for i in classes_in(mask, num_classes):
        count, parts = cv2.connectedComponents((mask == i).astype(np.uint8))
        found = np.where(parts > 0, parts + total, found)
        total += count - 1
    return found.astype(np.uint8) if total <= 255 else mask
