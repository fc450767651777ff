# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Tuple

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomScale(BaseTransform):
    """Scale an image by a random factor.

    mmcv's ``RandomResize`` scales relative to one size for all images, this
    transform relative to the size of each image.

    Modified Keys:

    - img, and the masks that seg_fields names: at least one pixel each way.
    - img_shape (tuple[int]): (H, W).
    - scale_factor (tuple[float]): Of width and height.

    Args:
        ratio_range (tuple[float]): Smallest and largest factor.
    """

    def __init__(self, ratio_range: Tuple[float, float] = (0.5, 2.0)) -> None:
        self.ratio_range = ratio_range

    @cache_randomness
    def _random_ratio(self) -> float:
        return np.random.uniform(*self.ratio_range)

    def transform(self, results: dict) -> dict:
        """Scale image and masks."""
        ratio = self._random_ratio()
        height, width = results['img'].shape[:2]
        # As mmcv.imrescale rounds.
        size = [max(1, int(side * ratio + 0.5)) for side in (width, height)]
        results['img'] = mmcv.imresize(results['img'], size)
        for key in results.get('seg_fields', []):
            results[key] = mmcv.imresize(
                results[key], size, interpolation='nearest')
        results['img_shape'] = results['img'].shape[:2]
        results['scale_factor'] = (size[0] / width, size[1] / height)
        return results
