# Copyright (c) mmseg_afa contributors. All rights reserved.
import cv2
import numpy as np
import torch
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS


def to_planes(img: np.ndarray) -> np.ndarray:
    """Copy an image of shape (H, W, channels) to (channels, H, W).

    ``cv2.split`` is several times faster than transposing and copying.
    """
    planes = np.empty((img.shape[2], *img.shape[:2]), img.dtype)
    cv2.split(img, list(planes))
    return planes


@TRANSFORMS.register_module()
class PackWeakSegInputs(PackSegInputs):
    """Pack an image with its image-level label.

    In addition to ``PackSegInputs``, the data sample has

    - ``image_label`` (Tensor): float32 of shape (C, ), 0 or 1, if there is a
      label; and ``num_tags`` (int), as meta information: its number of ones;
    - ``img_box`` (tuple[int]), as meta information: (top, bottom, left,
      right) of the image in the crop, or of the whole image without a crop.

    Args:
        meta_keys (Sequence[str]): As of ``PackSegInputs``.
    """

    def transform(self, results: dict) -> dict:
        """Pack the results.

        Returns:
            dict: 'inputs', a uint8 tensor of shape (3, H, W), BGR, and
            'data_samples', a :class:`mmseg.structures.SegDataSample`.
        """
        img = results['img']
        packed = super().transform(
            {key: results[key]
             for key in results if key != 'img'})
        packed['inputs'] = torch.from_numpy(to_planes(img))
        sample = packed['data_samples']
        height, width = img.shape[:2]
        sample.set_metainfo(
            dict(img_box=results.get('img_box', (0, height, 0, width))))
        if 'image_label' in results:
            sample.set_metainfo(
                dict(num_tags=int(results['image_label'].sum())))
            sample.image_label = torch.from_numpy(
                results['image_label']).float()
        return packed
