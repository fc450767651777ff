# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Merge class activation maps."""
from typing import Sequence, Tuple

import torch
from torch import Tensor

from ..utils import resize


def normalize_cam(cam: Tensor) -> Tensor:
    """Stretch each map of (B, C, H, W) to [0, 1)."""
    cam = cam - cam.amin((2, 3), keepdim=True)
    return cam / (cam.amax((2, 3), keepdim=True) + 1e-5)


def merge_cams(cams: Sequence[Tuple[Tensor, Tensor]],
               size: Sequence[int]) -> Tensor:
    """Merge the raw CAMs of several scales.

    Take the maximum over the flip, keep the positive part, and sum over the
    scales.

    Args:
        cams (Sequence[tuple[Tensor, Tensor]]): For each scale the raw CAM
            (B, C, h, w) of the images and of the flipped images.
        size (Sequence[int]): Height and width of the result.

    Returns:
        Tensor: (B, C, H, W) in [0, 1).
    """
    total = 0.
    for cam, flipped in cams:
        cam = torch.maximum(
            resize(cam.float(), size),
            resize(flipped.float(), size).flip(-1))
        total = total + cam.relu_()
    return normalize_cam(total)
