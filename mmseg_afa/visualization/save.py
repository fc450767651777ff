# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Write pictures that keep to a size limit."""
from itertools import product
from pathlib import Path

import cv2

from ..utils import replacing
from .checks import check_image

# Tried from the left to the right, all qualities before the next scale.
JPEG_QUALITIES = (92, 85, 75)
SCALES = (1, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def encodings(suffix, sheet, limited):
    """Encode a picture, ever smaller.

    Args:
        suffix (str): '.png', '.jpg' or '.jpeg'.
        sheet (np.ndarray): BGR uint8 of shape (H, W, 3).
        limited (bool): Whether anything but the best is wanted.

    Yields:
        bytes: The content of a file.
    """
    qualities = (None, ) if suffix == '.png' else JPEG_QUALITIES
    for scale, quality in product(SCALES, qualities):
        options = quality and [cv2.IMWRITE_JPEG_QUALITY, quality]
        size = [max(1, round(side * scale)) for side in sheet.shape[1::-1]]
        shrunk = cv2.resize(sheet, size, interpolation=cv2.INTER_AREA)
        yield cv2.imencode(suffix, shrunk, options or [])[1].tobytes()
        if not limited:
            return


def save_picture(path, sheet, max_bytes=None):
    """Write a picture, all of it or nothing.

    Args:
        path (str | Path): A file that ends in .png, .jpg or .jpeg. Its folder
            is made where it is missing.
        sheet (np.ndarray): BGR uint8 of shape (H, W, 3).
        max_bytes (int, optional): The largest file allowed. A JPEG loses
            quality first, then pictures of both kinds are scaled down.

    Raises:
        TypeError: If the picture is no uint8 array.
        ValueError: If its shape is wrong, the suffix is another one, or a
            tenth of the picture's size still takes too many bytes.
    """
    check_image(sheet, 'sheet')
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in ('.png', '.jpg', '.jpeg'):
        raise ValueError(f'{path} must end in .png, .jpg or .jpeg.')
    for content in encodings(suffix, sheet, limited=max_bytes is not None):
        if max_bytes is None or len(content) <= max_bytes:
            break
    else:
        raise ValueError(
            f'{path} cannot be kept to {max_bytes} bytes, the smallest '
            f'version takes {len(content)}: allow more or show less.')
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)
