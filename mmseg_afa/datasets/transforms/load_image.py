# Copyright (c) mmseg_afa contributors. All rights reserved.
import logging
import re
from typing import Optional

import cv2
import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.logging import print_log
from mmseg.registry import TRANSFORMS

from ...utils import UserError
from ..image_files import read_bytes

DARK = 64  # of 255; 16 bits a channel exceed it, unless few of them are used
JPEG_START = b'\xff\xd8'
JPEG_END = 0xD9
# 0xff is a marker unless 0x00 (an escaped 0xff of the image data), a restart
# marker or another 0xff follows.
JPEG_MARKER = re.compile(rb'\xff[^\x00\xd0-\xd7\xff]')


def jpeg_is_complete(content: bytes) -> bool:
    """Look for the end marker of a JPEG file.

    Decoders fill the missing rows of a truncated file with grey, without an
    error.
    """
    position = len(JPEG_START)
    while True:
        marker = JPEG_MARKER.search(content, position)
        if marker is None:
            return False
        if content[marker.end() - 1] == JPEG_END:
            return True
        # Skip the segment, which may hold a thumbnail with its own end.
        length = content[marker.end():marker.end() + 2]
        position = marker.end() + int.from_bytes(length, 'big')


def describe_stored(content: bytes) -> Optional[str]:
    """Describe the values of a file that 8 bits do not hold, if it has any."""
    img = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if img is None or img.dtype == np.uint8 or not img.any():
        return None
    return (f'found {img.dtype} values from {img.min():.5g} to '
            f'{img.max():.5g}')


class BrokenImageError(UserError):
    """An existing file that cannot be read as an image."""


def to_bgr(img: np.ndarray) -> np.ndarray:
    """Convert a uint8 image to BGR: grey, BGR or BGRA without transparency."""
    codes = {1: cv2.COLOR_GRAY2BGR, 3: None, 4: cv2.COLOR_BGRA2BGR}
    channels = img.shape[2] if img.ndim == 3 else int(img.ndim == 2)
    if img.dtype != np.uint8 or channels not in codes or not img.size:
        raise BrokenImageError(
            f'found an array of {img.dtype} {img.shape}, expected uint8: BGR '
            '(H, W, 3), BGRA (H, W, 4) or grey (H, W).')
    return img if channels == 3 else cv2.cvtColor(img, codes[channels])


@TRANSFORMS.register_module()
class LoadWeakImage(LoadImageFromFile):
    """Load an image of any colour type as BGR, or say what is wrong with it.

    Photos are turned upright as their EXIF orientation says: draw masks in a
    program that does so, too. 16 bits a channel are scaled to 8, from the
    full range: a file with values of 12 bits is nearly black. The first such
    file is named in a warning.

    Added Keys:

    - img (np.ndarray): uint8 of shape (H, W, 3), BGR, without transparency.
    - img_shape, ori_shape (tuple[int]): (H, W).

    Args:
        **kwargs: color_type, imdecode_backend and backend_args; see
            :class:`mmcv.transforms.LoadImageFromFile`.
    """

    warned = False  # of a file that is nearly black

    def transform(self, results: dict) -> dict:
        """Load the image.

        Raises:
            MissingFileError: If there is no such file.
            BrokenImageError: If the file cannot be decoded.
        """
        path = results['img_path']
        content = read_bytes(
            path, 'no such image. Correct data_root, data_prefix or '
            'img_suffix, or remove the image from the image list.',
            self.backend_args)
        jpeg = content.startswith(JPEG_START)  # always 8 bits
        try:
            if not content or jpeg and not jpeg_is_complete(content):
                raise ValueError(f'cut off after {len(content)} bytes')
            img = mmcv.imfrombytes(
                content, flag=self.color_type, backend=self.imdecode_backend)
        except Exception as error:  # each decoder has errors of its own
            raise BrokenImageError(
                f'{path}: cannot be decoded ({error}). Copy or download it '
                'again, or remove it from the image list.') from error
        dark = img is not None and not jpeg and img.max() <= DARK
        stored = describe_stored(content) if img is None or dark else None
        if img is None:  # OpenCV's way to say so
            reason = stored or 'cannot be decoded (unknown format, or damaged)'
            raise BrokenImageError(
                f'{path}: {reason}. Copy or download it again, save it as RGB '
                'with 8 bits, or remove it from the image list.')
        if stored and not LoadWeakImage.warned:
            LoadWeakImage.warned = True
            print_log(
                f'{path}: {stored} of 65535, so it is nearly black. If its '
                'sensor has fewer bits, scale the values of such files to the '
                'full range. Other such files are not named.',
                logger='current',
                level=logging.WARNING)
        results['img'] = img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results
