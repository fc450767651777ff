# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from ..mask_file import read_mask
from .sample import get_num_classes, is_photo_alone


@TRANSFORMS.register_module()
class LoadMask(LoadAnnotations):
    """Load the mask of an image, or say what is wrong with it.

    A photo that comes from no data set, to be segmented, passes unchanged.

    Required Keys:

    - seg_map_path
    - num_classes (unless given as an argument)
    - ori_shape (optional): What the shape of the mask is compared with.
    - label_map (optional): From a class number in the file to the one wanted.

    Added Keys:

    - gt_seg_map (np.ndarray): uint8 of shape (H, W), 0 to
      ``num_classes - 1``, and 255 for pixels to ignore.
    - seg_fields (list[str]): 'gt_seg_map' is appended.

    Args:
        num_classes (int, optional): Number of classes in the file, background
            counted. Defaults to that of the data set.
        **kwargs: See :class:`mmseg.datasets.transforms.LoadAnnotations`.
    """

    def __init__(self, num_classes: Optional[int] = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def _load_seg_map(self, results: dict) -> None:
        if 'seg_map_path' not in results:
            if is_photo_alone(results):
                return
            raise KeyError(
                f"LoadMask: {results.get('img_path')} has no mask: give the "
                "data set a data_prefix with 'seg_map_path', or take LoadMask "
                'out of the pipeline.')
        if self.reduce_zero_label or results.get('reduce_zero_label'):
            raise ValueError('LoadMask: reduce_zero_label=True would drop the '
                             'background: leave it out.')
        path, label_map = results['seg_map_path'], results.get('label_map')
        num_classes = len(label_map) if label_map else get_num_classes(
            self, results)
        mask = read_mask(path, num_classes, self.backend_args,
                         self.imdecode_backend)
        shape = results.get('ori_shape', mask.shape)[:2]
        if mask.shape != tuple(shape):
            raise ValueError(
                f'{path}: its height and width are {mask.shape}, those of '
                f"{results['img_path']} are {tuple(shape)}: make the mask "
                'again, without resizing.')
        if label_map:
            table = np.arange(256, dtype=np.uint8)
            table[list(label_map)] = list(label_map.values())
            mask = table[mask]
        results['gt_seg_map'] = mask
        results.setdefault('seg_fields', []).append('gt_seg_map')
