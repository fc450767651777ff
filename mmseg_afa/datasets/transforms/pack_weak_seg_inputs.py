# Copyright (c) mmseg_afa contributors. All rights reserved.
import cv2
import numpy as np
import torch
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackWeakSegInputs(PackSegInputs):
    """Pack an image with its image-level label.

    In addition to ``PackSegInputs``, the data sample has

    - ``image_label`` (Tensor): float32 of shape (C, ), 0 or 1, if there is a
      label; and ``num_tags`` (int), as meta information: its number of ones;
    - ``img_box`` (tuple[int]), as meta information: (top, bottom, left,
      right) of the image in the crop, or of the whole image without a crop;
    - ``trusted`` (bool), as meta information, for a trusted mask.

    Args:
        meta_keys (Sequence[str]): As of ``PackSegInputs``.
    """

    def transform(self, results: dict) -> dict:
        """Pack the results.

        Returns:
            dict: 'inputs', a uint8 tensor of shape (3, H, W), BGR, and
            'data_samples', a :class:`mmseg.structures.SegDataSample`.
        """
        others = dict(results)
        img = others.pop('img')
        packed = super().transform(others)
        # Several times faster than to transpose and copy.
        height, width, channels = img.shape
        planes = np.empty((channels, height, width), img.dtype)
        cv2.split(img, list(planes))
        packed['inputs'] = torch.from_numpy(planes)
        sample = packed['data_samples']
        sample.set_metainfo(
            dict(img_box=results.get('img_box', (0, height, 0, width))))
        if results.get('trusted'):
            sample.set_metainfo(dict(trusted=True))
        if 'image_label' in results:
            label = results['image_label']
            sample.set_metainfo(dict(num_tags=int(label.sum())))
            sample.image_label = torch.from_numpy(label).float()
        return packed
