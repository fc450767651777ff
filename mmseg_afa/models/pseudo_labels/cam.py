# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Class activation maps, and labels made of them by thresholds alone."""
from typing import Callable, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ... import compat
from ...utils import IGNORE_INDEX
from ..utils import resize
from .boxes import box_mask


def normalize_cam(cam: Tensor) -> Tensor:
    """Stretch each map to [0, 1): subtract the minimum, divide by the
    maximum + 1e-5.

    Args:
        cam (Tensor): (B, C, H, W).
    """
    cam = cam - cam.amin((2, 3), keepdim=True)
    return cam / (cam.amax((2, 3), keepdim=True) + 1e-5)


@compat.no_grad
def multi_scale_cam(
    forward: Callable[[Tensor, int], Tuple[Tensor, Optional[Tensor]]],
    images: Tensor,
    scales: Sequence[float] = (1., 0.5, 1.5),
    flip_in_batch: bool = False
) -> Tuple[Tensor, Optional[Tensor], Tuple[int, int]]:
    """Sum of the CAMs of an image at several scales, flipped and not.

    Args:
        forward (Callable): ``forward(images, n)`` gives the raw CAM
            (B, C, h, w) and, if n > 0, the affinity (n, N, N) of the first n
            images.
        images (Tensor): (B, 3, H, W), normalised.
        scales (Sequence[float]): Factors of the image size.
        flip_in_batch (bool): One pass for images and flipped images.

    Returns:
        tuple[Tensor, Tensor or None, tuple[int, int]]: CAM (B, C, H, W) in
        [0, 1), the affinity (B, N, N) of the unflipped images at the largest
        scale, and the rows and columns of its grid.
    """
    size, count = images.shape[-2:], len(images)
    total = 0.
    for scale in scales:
        scaled = resize(images, [max(int(scale * n), 1) for n in size])
        largest = scale == max(scales)
        num_affinity = count if largest else 0
        if flip_in_batch:
            cam, scaled_affinity = forward(
                torch.cat([scaled, scaled.flip(-1)]), num_affinity)
            cam, flipped = cam.chunk(2)
        else:
            cam, scaled_affinity = forward(scaled, num_affinity)
            flipped, _ = forward(scaled.flip(-1), 0)
        if largest:
            affinity, grid = scaled_affinity, tuple(cam.shape[-2:])
        cam = torch.maximum(
            resize(cam.float(), size),
            resize(flipped.float(), size).flip(-1))
        total = total + cam.relu_()
    return normalize_cam(total), affinity, grid


def present_cam(cam: Tensor, image_label: Tensor) -> Tensor:
    """Zero the maps of classes that the image does not show.

    Args:
        cam (Tensor): (B, C, H, W).
        image_label (Tensor): (B, C) multi-hot.
    """
    return cam * image_label[:, :, None, None]


def cam_to_train_label(cam: Tensor,
                       image_label: Tensor,
                       boxes: Tensor,
                       bkg_high: float,
                       bkg_low: float,
                       ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Training label by two thresholds, with a band of ignored pixels.

    Args:
        cam (Tensor): (B, C, H, W) in [0, 1].
        image_label (Tensor): (B, C) multi-hot.
        boxes (Tensor): (B, 4), the part of the crop that shows image.
        bkg_high (float): Foreground needs more than this.
        bkg_low (float): At or below this a pixel is background.
        ignore_index (int): The label in between and outside the boxes.

    Returns:
        Tensor: (B, H, W) int64 in 0..C or ignore_index.
    """
    value, label = present_cam(cam, image_label).max(1)
    label = (label + 1).masked_fill_(value <= bkg_high, ignore_index)
    label.masked_fill_(value <= bkg_low, 0)
    return label.masked_fill_(~box_mask(boxes, label.shape[-2:]), ignore_index)
