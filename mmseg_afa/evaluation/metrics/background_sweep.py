# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Compute the mIoU of a CAM at many background scores, from one pass."""
from typing import Dict, Tuple

import torch
from torch import Tensor

BKG_SCORES = tuple(i / 20 for i in range(20))


def strongest_class(cam: Tensor, image_label: Tensor) -> Tuple[Tensor, Tensor]:
    """Find the highest score of each pixel among the classes of an image.

    Args:
        cam (Tensor): (C, H, W) in [0, 1].
        image_label (Tensor): (C, ) multi-hot.

    Returns:
        tuple[Tensor, Tensor]: Scores and classes in 0..C - 1, both (H, W).
    """
    present = image_label.nonzero()[:, 0]
    # 0, so that there is a map where there is no class
    value, index = torch.cat([torch.zeros_like(cam[:1]), cam[present]]).max(0)
    return value, torch.cat([present.new_zeros(1), present])[index]


def count_by_score(value: Tensor, strongest: Tensor, label: Tensor,
                   num_classes: int) -> Tensor:
    """Count pixels by score of the CAM, its strongest class, and true class.

    Args:
        value, strongest (Tensor): (P, ), of :func:`strongest_class`.
        label (Tensor): (P, ) int64 in 0..C.
        num_classes (int): C + 1.

    Returns:
        Tensor: (21, C, C + 1) int64, first by how many of :data:`BKG_SCORES`
        the pixel beats.
    """
    beaten = torch.bucketize(value, value.new_tensor(BKG_SCORES))
    shape = (len(BKG_SCORES) + 1, num_classes - 1, num_classes)
    index = (beaten * shape[1] + strongest) * shape[2] + label
    return index.bincount(minlength=shape[0] * shape[1] * shape[2]).view(shape)


def sweep(counts: Tensor) -> Dict[float, float]:
    """Compute the mIoU in percent at each score, of :func:`count_by_score`."""
    # pixels that beat a score are of their strongest class, others background
    foreground = counts.flip(0).cumsum(0).flip(0)[1:].double()  # (20, C, C+1)
    label = counts.sum((0, 1)).double()
    background = label - foreground.sum(1)
    pred = torch.cat([background[:, None], foreground], 1)  # (20, C+1, C+1)
    hits = pred.diagonal(dim1=1, dim2=2)
    iou = 100 * hits / (pred.sum(2) + label - hits)
    return dict(zip(BKG_SCORES, iou.nanmean(1).tolist()))
