# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Tuple, Union

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.utils import to_2tuple
from mmseg.registry import TRANSFORMS

from ...utils import IGNORE_INDEX


def crop_or_pad_slices(side: int, crop: int,
                       shift: int) -> Tuple[slice, slice]:
    """Return the part of a crop, and the part of a line copied there.

    `shift` is the start of a short line in the crop, or of the crop in a long
    line.
    """
    if side < crop:
        return slice(shift, shift + side), slice(0, side)
    return slice(0, crop), slice(shift, shift + crop)


@TRANSFORMS.register_module()
class WeakRandomCrop(BaseTransform):
    """Crop at random, and record which part of the crop shows the image.

    An image smaller than the crop is placed at random on a black canvas.
    Transforms that move pixels, like ``RandomFlip``, must be before this one:
    they do not update ``img_box``.

    Modified Keys:

    - img, and the masks that seg_fields names, padded with 255.
    - img_shape, pad_shape (tuple[int]): (H, W).
    - img_box (tuple[int]): (top, bottom, left, right) of the image in the
      crop, in pixels; bottom and right are exclusive.

    Args:
        crop_size (int or tuple[int]): (H, W).
    """

    def __init__(self, crop_size: Union[int, Tuple[int, int]]) -> None:
        self.crop_size = tuple(to_2tuple(crop_size))

    @cache_randomness
    def _random_shifts(self, size: Tuple[int, int]) -> Tuple[int, int]:
        return tuple(
            np.random.randint(abs(side - crop) + 1)
            for side, crop in zip(size, self.crop_size))

    def transform(self, results: dict) -> dict:
        """Crop image and masks."""
        size = results['img'].shape[:2]
        (rows, from_rows), (cols, from_cols) = map(crop_or_pad_slices, size,
                                                   self.crop_size,
                                                   self._random_shifts(size))

        def crop(image, padding):
            canvas = np.full(self.crop_size + image.shape[2:], padding,
                             image.dtype)
            source, target = image[from_rows, from_cols], canvas[rows, cols]
            if source.strides[1] < 0 and source.dtype == np.uint8:
                # RandomFlip returns a view with a negative stride, which
                # NumPy copies at a tenth of OpenCV's speed.
                cv2.flip(source[:, ::-1], 1, dst=target)
            else:
                target[...] = source
            return canvas

        results['img'] = crop(results['img'], 0)
        for key in results.get('seg_fields', []):
            results[key] = crop(results[key], IGNORE_INDEX)
        results['img_shape'] = results['pad_shape'] = self.crop_size
        results['img_box'] = (rows.start, rows.stop, cols.start, cols.stop)
        return results
