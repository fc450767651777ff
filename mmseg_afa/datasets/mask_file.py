# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Masks: images that hold the number of a class at each pixel."""
from pathlib import Path
from typing import Optional, Sequence, Union

import mmcv
import numpy as np
from mmengine import fileio
from PIL import Image

from ..utils import replacing

IGNORE = 255
# Of zlib, for images of COCO: a third of the default's time, half as large
# again.
COMPRESS_LEVEL = 3


def read_mask(path: str,
              num_classes: int,
              backend_args: Optional[dict] = None,
              imdecode_backend: str = 'pillow') -> np.ndarray:
    """Read a mask; a palette is not applied.

    Args:
        path (str): The file.
        num_classes (int): Number of classes, background counted.
        backend_args (dict, optional): Where the file is kept, see
            :func:`mmengine.fileio.get`.
        imdecode_backend (str): See :func:`mmcv.imfrombytes`.

    Returns:
        np.ndarray: uint8 of shape (H, W), 0 to ``num_classes - 1`` and 255
        for pixels to ignore.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be decoded, has several channels, or a value
            that is no class and not 255.
    """
    try:
        content = fileio.get(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{path}: no such mask. Correct data_root, data_prefix or '
            'seg_map_suffix.') from error
    try:
        mask = mmcv.imfrombytes(
            content, flag='unchanged', backend=imdecode_backend)
    except Exception as error:  # each decoder has errors of its own
        raise ValueError(
            f'{path}: cannot be decoded ({error}): it is empty, cut off or '
            'no image. Copy or make it again.') from error
    if mask is None or mask.ndim != 2 or mask.dtype.kind not in 'biu':
        found = 'nothing that can be decoded' if mask is None else (
            f'shape {mask.shape}, {mask.dtype}')
        raise ValueError(
            f'{path}: found {found}, expected one channel with the number of '
            'a class at each pixel. If its colours stand for classes, '
            'convert it to numbers.')
    wrong = (mask >= num_classes) & (mask != IGNORE)
    if mask.dtype.kind == 'i':
        wrong |= mask < 0
    if wrong.any():
        raise ValueError(
            f'{path}: found the values {np.unique(mask[wrong])[:10].tolist()}'
            f', expected 0 to {num_classes - 1} for the {num_classes} '
            'classes and 255 for pixels to ignore. Correct the mask or the '
            'classes.')
    return mask.astype(np.uint8, copy=False)


def write_mask(path: Union[str, Path], mask: np.ndarray,
               palette: Sequence[Sequence[int]]) -> None:
    """Write a mask as an 8-bit PNG file with a palette, all of it or nothing.

    Args:
        path (str or Path): The file; one that exists is replaced.
        mask (np.ndarray): uint8 of shape (H, W).
        palette (Sequence[Sequence[int]]): [R, G, B] of each of the 256
            values, 0 to 255.
    """
    image = Image.fromarray(mask)
    image.putpalette(np.asarray(palette, np.uint8).tobytes())
    with replacing(path) as unfinished:
        image.save(unfinished, compress_level=COMPRESS_LEVEL)
