# Copyright (c) mmseg_afa contributors. All rights reserved.
"""PAR alone, against the published code's way of computing it."""
from typing import Dict, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_afa.models import PAR
from mmseg_afa.models.refiners.par import DIRECTIONS, position_weights
from .device import measured_bandwidth, seconds_of


def convolved_neighbours(x: Tensor, dilations: Sequence[int]) -> Tensor:
    """The neighbours of all pixels, (B, C, H, W) -> (B, C, N, H, W), by
    padding and dilated convolutions with one-hot kernels."""
    kernel = x.new_zeros(len(DIRECTIONS), 1, 3, 3)
    for i, (dy, dx) in enumerate(DIRECTIONS):
        kernel[i, 0, dy + 1, dx + 1] = 1
    flat = x.flatten(0, 1)[:, None]
    return torch.cat([
        F.conv2d(F.pad(flat, (d, ) * 4, mode='replicate'), kernel, dilation=d)
        for d in dilations
    ], 1).unflatten(0, x.shape[:2])


@torch.no_grad()
def published_way(par: PAR, image: Tensor, masks: Tensor) -> Tensor:
    """What PAR computes, the way of the published code: the neighbours of
    every map as one tensor in every iteration, and the weights repeated for
    every map.

    Args:
        par (PAR): Its settings are used.
        image (Tensor): (B, 3, H, W), RGB in [0, 1].
        masks (Tensor): (B, C, H, W).

    Returns:
        Tensor: (B, C, H, W).
    """
    neighbours = convolved_neighbours(image, par.dilations)
    std = neighbours.std(2, keepdim=True)
    colour = (neighbours - image[:, :, None]) / (std + 1e-8) / par.w1
    weights = (-colour**2).mean(1, keepdim=True).softmax(2)
    position = position_weights(par.dilations, par.w1, image.device)
    weights = weights + par.w2 * position[:, None, None]
    for _ in range(par.num_iter):
        repeated = weights.repeat(1, masks.shape[1], 1, 1, 1)
        masks = (convolved_neighbours(masks, par.dilations) * repeated).sum(2)
    return masks


def bytes_moved(par: PAR, batch: int, channels: int, pixels: int) -> int:
    """The least that has to be read and written: the image once, the weights
    once and again in every iteration, the masks in every iteration."""
    neighbours = len(DIRECTIONS) * len(par.dilations)
    floats = 3 + neighbours + par.num_iter * (neighbours + 2 * channels)
    return 4 * batch * pixels * floats


def benchmark_par(device: torch.device,
                  batch: int = 1,
                  channels: int = 4,
                  size: int = 256,
                  repeat: int = 10) -> Dict[str, float]:
    """Time PAR.

    Args:
        device (torch.device): Where.
        batch (int): Number of images.
        channels (int): Maps of each image.
        size (int): Height and width in pixels.
        repeat (int): Number of calls timed.

    Returns:
        dict[str, float]: Seconds of both ways, the largest difference of
        their results, and the seconds that moving the least bytes takes at
        the speed of a large copy.
    """
    par = PAR()
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 3, size // 8, size // 8, generator=generator)
    image = F.interpolate(image, (size, size), mode='bilinear').to(device)
    masks = torch.rand(batch, channels, size, size, generator=generator)
    masks = masks.to(device)
    difference = par(image, masks) - published_way(par, image, masks)
    return dict(
        batch=batch,
        channels=channels,
        size=size,
        seconds=seconds_of(lambda: par(image, masks), device, repeat, 2),
        published_way_seconds=seconds_of(
            lambda: published_way(par, image, masks), device, 3, 1),
        difference=difference.abs().max().item(),
        floor_seconds=bytes_moved(par, batch, channels, size * size) /
        measured_bandwidth(device))
