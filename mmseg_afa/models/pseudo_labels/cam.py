# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Merge class activation maps, and make labels from them by thresholds."""
from typing import Sequence, Tuple

import torch
from torch import Tensor

from ...utils import IGNORE_INDEX
from ..utils import resize
from .boxes import box_mask


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


def present_cam(cam: Tensor, image_label: Tensor) -> Tensor:
    """Zero the maps (B, C, H, W) of classes that a label (B, C) lacks."""
    return cam * image_label[:, :, None, None]


def cam_to_train_label(cam: Tensor,
                       image_label: Tensor,
                       boxes: Tensor,
                       bkg_high: float,
                       bkg_low: float,
                       ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Make a training label by two thresholds and ignore the band between.

    Args:
        cam (Tensor): (B, C, H, W) in [0, 1].
        image_label (Tensor): (B, C) multi-hot.
        boxes (Tensor): (B, 4), the part of the crop that shows image.
        bkg_high (float): Foreground needs more than this.
        bkg_low (float): At or below this a pixel is background.
        ignore_index (int): The label between the thresholds and outside the
            boxes.

    Returns:
        Tensor: (B, H, W) int64 in 0..C or ignore_index.
    """
    value, label = present_cam(cam, image_label).max(1)
    label = (label + 1).masked_fill_(value <= bkg_high, ignore_index)
    label.masked_fill_(value <= bkg_low, 0)
    return label.masked_fill_(~box_mask(boxes, label.shape[-2:]), ignore_index)
