# Copyright (c) mmseg_afa contributors. All rights reserved.
import re
from typing import Optional

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from mmseg.registry import TRANSFORMS

JPEG_START = b'\xff\xd8'
JPEG_END = 0xD9
# 0xff is a marker unless 0x00 (an escaped 0xff of the image data), a restart
# marker or another 0xff follows.
JPEG_MARKER = re.compile(rb'\xff[^\x00\xd0-\xd7\xff]')


def jpeg_is_complete(content: bytes) -> bool:
    """Whether a JPEG file has its end marker.

    Decoders fill in grey rows for what is missing, with no error.
    """
    position = len(JPEG_START)
    while True:
        marker = JPEG_MARKER.search(content, position)
        if marker is None:
            return False
        if content[marker.end() - 1] == JPEG_END:
            return True
        # Step over the segment: it can hold a thumbnail with its own end.
        length = content[marker.end():marker.end() + 2]
        position = marker.end() + int.from_bytes(length, 'big')


class BrokenImageError(ValueError):
    """A file that is there, but cannot be read as an image."""


@TRANSFORMS.register_module()
class LoadWeakImage(LoadImageFromFile):
    """Load an image of any colour type as BGR, or say what is wrong with it.

    Photos that say how the camera was held (EXIF) come upright, as viewers
    show them: draw their masks in a program that does so, too. Sixteen bits a
    channel are scaled to eight.

    Required Keys:

    - img_path

    Added Keys:

    - img (np.ndarray): uint8 of shape (H, W, 3), BGR; transparency is
      dropped.
    - img_shape (tuple[int]): (H, W).
    - ori_shape (tuple[int]): (H, W).

    Args:
        **kwargs: See :class:`mmcv.transforms.LoadImageFromFile`.
    """

    def transform(self, results: dict) -> Optional[dict]:
        """Load the image.

        Returns:
            dict: The results, or None if the image cannot be loaded and
            ``ignore_empty=True``.

        Raises:
            BrokenImageError: If the file is empty, cut off, or no image.
        """
        try:
            img = self._load(results['img_path'])
        except (FileNotFoundError, BrokenImageError):
            if self.ignore_empty:
                return None
            raise
        if self.to_float32:
            img = img.astype(np.float32)
        results['img'] = img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results

    def _load(self, path: str) -> np.ndarray:
        remedy = 'Copy or download it again, or take it off the image list.'
        try:
            content = fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f'{path}: no such image. Correct data_root, data_prefix or '
                'img_suffix, or take it off the image list.') from error
        if not content:
            raise BrokenImageError(f'{path}: the file is empty. {remedy}')
        if content.startswith(JPEG_START) and not jpeg_is_complete(content):
            raise BrokenImageError(
                f'{path}: the JPEG file is cut off after {len(content)} '
                f'bytes. {remedy}')
        reason = 'unknown format, or damaged'
        try:
            img = mmcv.imfrombytes(
                content, flag=self.color_type, backend=self.imdecode_backend)
        except Exception as error:  # each decoder has errors of its own
            img, reason = None, error
        if img is None:
            raise BrokenImageError(
                f'{path}: cannot be decoded ({reason}). {remedy}')
        return img
