# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from ...utils import UserError
from ..mask_file import read_mask


def is_single_photo(results: dict) -> bool:
    """Detect a photo from no data set, as mmseg's inference functions load."""
    return 'seg_fields' not in results


def get_num_classes(transform: BaseTransform, results: dict) -> int:
    """Return the number of classes of the transform or the data set."""
    if transform.num_classes is not None:
        return transform.num_classes
    if 'num_classes' not in results:
        raise UserError(
            f'{type(transform).__name__}: the data set does not say the '
            'number of classes. Set num_classes, background counted, or use '
            'a data set of mmseg_afa.')
    return results['num_classes']


@TRANSFORMS.register_module()
class LoadMask(LoadAnnotations):
    """Load the mask of an image, or say what is wrong with it.

    A single photo, which belongs to no data set, is returned unchanged.

    Required Keys:

    - seg_map_path
    - num_classes (unless given as an argument)
    - ori_shape (optional): The shape that the mask must have.
    - label_map (optional): Maps class numbers in the file to
      those of the data set.

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
            if is_single_photo(results):
                return
            raise UserError(
                f"LoadMask: {results.get('img_path')} has no mask. Give the "
                "data set a data_prefix with 'seg_map_path', or remove "
                'LoadMask from the pipeline.')
        if self.reduce_zero_label or results.get('reduce_zero_label'):
            raise UserError('LoadMask: reduce_zero_label=True would drop the '
                            'background. Leave it out.')
        path, label_map = results['seg_map_path'], results.get('label_map')
        num_classes = len(label_map) if label_map else get_num_classes(
            self, results)
        mask = read_mask(path, num_classes, self.backend_args,
                         self.imdecode_backend)
        shape = results.get('ori_shape', mask.shape)[:2]
        if mask.shape != tuple(shape):
            raise UserError(
                f'{path}: its height and width are {mask.shape}, those of '
                f"{results['img_path']} are {tuple(shape)}. Make the mask "
                'again, without resizing.')
        if label_map:
            table = np.arange(256, dtype=np.uint8)
            table[list(label_map)] = list(label_map.values())
            mask = table[mask]
        results['gt_seg_map'] = mask
        results.setdefault('seg_fields', []).append('gt_seg_map')
