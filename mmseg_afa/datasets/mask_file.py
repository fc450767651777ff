# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Masks: images with the number of a class at each pixel."""
from io import BytesIO
from itertools import compress
from typing import List, Optional, Sequence, Tuple

import mmcv
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..utils import IGNORE_INDEX, UserError
from .image_files import read_bytes

COMPRESS_LEVEL = 3  # of zlib: a third of the default's time, 1.5 x the bytes


def voc_palette(num_classes: int) -> List[List[int]]:
    """Return the colours of PASCAL VOC, up to 256 distinct ones: [R, G, B]."""
    return [[
        sum((number >> 3 * bit + channel & 1) << 7 - bit for bit in range(8))
        for channel in range(3)
    ] for number in range(num_classes)]


PALETTE = np.ravel(voc_palette(256)).tolist()


def read_mask(path: str,
              num_classes: int,
              backend_args: Optional[dict] = None) -> np.ndarray:
    """Read a mask without applying its palette.

    Args:
        path (str): The file.
        num_classes (int): Number of classes, background counted.
        backend_args (dict, optional): See :func:`mmengine.fileio.get`.

    Returns:
        np.ndarray: uint8 of shape (H, W), 0 to ``num_classes - 1`` and 255
        for pixels to ignore. A UserError is raised for other content.
    """
    content = read_bytes(
        path, 'no such mask. Correct data_root, data_prefix or '
        'seg_map_suffix.', backend_args)
    return decode_mask(content, path, num_classes)


def decode_mask(content: bytes, where: str, num_classes: int) -> np.ndarray:
    """Decode the content of the mask file ``where``; see `read_mask`."""
    try:
        mask = mmcv.imfrombytes(content, flag='unchanged', backend='pillow')
    except Exception as error:  # each format has errors of its own
        raise UserError(
            f'{where}: cannot be decoded ({error}). The file is empty, cut '
            'off or not an image. Copy or make it again.') from error
    if np.ndim(mask) != 2:
        raise UserError(
            f'{where}: found shape {np.shape(mask)}, expected one channel '
            'with the number of a class at each pixel. If its colours stand '
            'for classes, convert them to numbers.')
    wrong = (mask >= num_classes) & (mask != IGNORE_INDEX)
    if wrong.any():
        raise UserError(
            f'{where}: found the values {np.unique(mask[wrong])[:10].tolist()}'
            f', expected 0 to {num_classes - 1} for the {num_classes} '
            'classes and 255 for pixels to ignore. Correct the mask or the '
            'classes.')
    return mask.astype(np.uint8, copy=False)


def shown_classes(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """Find the foreground classes in a mask: bool, (num_classes - 1, )."""
    return np.bincount(mask.ravel(), minlength=256)[1:num_classes] > 0


def tags_in_mask(mask: np.ndarray, classes: Sequence[str]) -> Tuple[str, ...]:
    """Name the foreground classes that have a pixel in a mask."""
    return tuple(compress(classes, shown_classes(mask, len(classes) + 1)))


def encode_mask(mask: np.ndarray,
                palette: Sequence[Sequence[int]] = (),
                text: Optional[PngInfo] = None,
                transparent: Optional[int] = None) -> bytes:
    """Encode a mask as a PNG file.

    Args:
        mask (np.ndarray): uint8 of shape (H, W).
        palette (Sequence): [R, G, B] of the first classes; the others, and
            255, have VOC's colours.
        text (PngInfo, optional): Text fields of the file.
        transparent (int, optional): The value that viewers do not show.
    """
    image = Image.fromarray(mask)
    colours = np.ravel(palette).astype(int).tolist()
    image.putpalette(colours + PALETTE[len(colours):])
    file = BytesIO()
    image.save(
        file,
        'PNG',
        compress_level=COMPRESS_LEVEL,
        pnginfo=text,
        transparency=transparent)
    return file.getvalue()
