# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ...utils import UserError
from ..mask_file import shown_classes
from .load_mask import get_num_classes, is_single_photo


@TRANSFORMS.register_module()
class ImageLabelFromMask(BaseTransform):
    """Make the image-level label from the mask.

    The label shows what earlier transforms, such as a crop, left of the mask.
    A single photo, which belongs to no data set, is returned unchanged.

    Required Keys:

    - gt_seg_map
    - num_classes (unless given as an argument)

    Added Keys:

    - image_label (np.ndarray): uint8 of shape (C, ), 1 for each foreground
      class in the mask; an existing label is overwritten.

    Args:
        num_classes (int, optional): C + 1. Defaults to that of the data set.
    """

    def __init__(self, num_classes: Optional[int] = None) -> None:
        self.num_classes = num_classes

    def transform(self, results: dict) -> dict:
        """Make the label."""
        if 'gt_seg_map' not in results:
            if is_single_photo(results):
                return results
            raise UserError('ImageLabelFromMask: there is no mask. Put '
                            'LoadMask before it.')
        num_classes = get_num_classes(self, results)
        shown = shown_classes(results['gt_seg_map'], num_classes)
        results['image_label'] = shown.astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_classes={self.num_classes})'
