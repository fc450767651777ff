# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ...utils import UserError
from ..mask_file import read_mask, shown_classes


def get_num_classes(transform: BaseTransform, results: dict) -> int:
    """Return the number of classes of the transform or the data set."""
    number = transform.num_classes or results.get('num_classes')
    if number is None:
        raise UserError(
            f'{type(transform).__name__}: the data set does not say the '
            'number of classes. Set num_classes, background counted, or use '
            'a data set of mmseg_afa.')
    return number


@TRANSFORMS.register_module()
class LoadMask(BaseTransform):
    """Load the mask of an image, or say what is wrong with it.

    A single photo, which belongs to no data set, is returned unchanged.

    Required Keys:

    - seg_map_path
    - num_classes (unless given as an argument)
    - ori_shape (optional): The shape that the mask must have.
    - label_map (optional): Maps class numbers in the file to those of the
      data set.

    Added Keys:

    - gt_seg_map (np.ndarray): uint8 of shape (H, W), 0 to
      ``num_classes - 1``, and 255 for pixels to ignore.

    Args:
        num_classes (int, optional): Number of classes in the file, background
            counted. Defaults to that of the data set.
        backend_args (dict, optional): See :func:`mmengine.fileio.get`.
    """

    def __init__(self,
                 num_classes: Optional[int] = None,
                 backend_args: Optional[dict] = None) -> None:
        self.num_classes, self.backend_args = num_classes, backend_args

    def transform(self, results: dict) -> dict:
        """Load the mask."""
        if 'seg_fields' not in results:  # mmseg's inference has no data set
            return results
        if 'seg_map_path' not in results:
            raise UserError(
                f"LoadMask: {results.get('img_path')} has no mask. Give the "
                "data set a data_prefix with 'seg_map_path', or remove "
                'LoadMask from the pipeline.')
        path, label_map = results['seg_map_path'], results.get('label_map')
        num_classes = len(label_map) if label_map else get_num_classes(
            self, results)
        mask = read_mask(path, num_classes, self.backend_args)
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
        results['seg_fields'].append('gt_seg_map')
        return results


@TRANSFORMS.register_module()
class ImageLabelFromMask(BaseTransform):
    """Make the image-level label from the mask.

    The label shows what earlier transforms, such as a crop, left of the mask.
    An image without a mask is returned unchanged.

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
        if 'gt_seg_map' in results:
            shown = shown_classes(results['gt_seg_map'],
                                  get_num_classes(self, results))
            results['image_label'] = shown.astype(np.uint8)
        return results
