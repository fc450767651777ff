# Copyright (c) mmseg_afa contributors. All rights reserved.
import re

import mmcv
from mmcv.transforms import LoadImageFromFile
from mmseg.registry import TRANSFORMS

from ...utils import UserError
from ..image_files import read_bytes

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


class BrokenImageError(UserError):
    """An existing file that cannot be read as an image."""


@TRANSFORMS.register_module()
class LoadWeakImage(LoadImageFromFile):
    """Load an image of any colour type as BGR, or say what is wrong with it.

    Photos are turned upright as their EXIF orientation says: draw masks in a
    program that does so, too. 16 bits a channel are scaled to 8.

    Added Keys:

    - img (np.ndarray): uint8 of shape (H, W, 3), BGR, without transparency.
    - img_shape, ori_shape (tuple[int]): (H, W).

    Args:
        **kwargs: color_type, imdecode_backend and backend_args; see
            :class:`mmcv.transforms.LoadImageFromFile`.
    """

    def transform(self, results: dict) -> dict:
        """Load the image.

        Raises:
            MissingFileError: If there is no such file.
            BrokenImageError: If the file is empty, truncated, or not an image.
        """
        path = results['img_path']
        content = read_bytes(
            path, 'no such image. Correct data_root, data_prefix or '
            'img_suffix, or remove the image from the image list.',
            self.backend_args)
        try:
            if not content or (content.startswith(JPEG_START)
                               and not jpeg_is_complete(content)):
                raise ValueError(f'cut off after {len(content)} bytes')
            img = mmcv.imfrombytes(
                content, flag=self.color_type, backend=self.imdecode_backend)
            if img is None:  # OpenCV's way to say so
                raise ValueError('unknown format, or damaged')
        except Exception as error:  # each decoder has errors of its own
            raise BrokenImageError(
                f'{path}: cannot be decoded ({error}). Copy or download it '
                'again, or remove it from the image list.') from error
        results['img'] = img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results
