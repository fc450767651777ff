# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Resize images and maps, and undo what the pipelines did to them."""
from typing import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def resize(x: Tensor,
           size: Sequence[int],
           align_corners: bool = False) -> Tensor:
    """Resize (B, C, h, w) to (B, C, *size), bilinearly."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(
        x, tuple(size), mode='bilinear', align_corners=align_corners)


def rescale(x: Tensor, factor: float) -> Tensor:
    """Multiply the size of (B, C, H, W) by a factor, bilinearly."""
    return resize(x, [max(int(factor * n), 1) for n in x.shape[-2:]])


def denormalize(inputs: Tensor, data_preprocessor: nn.Module) -> Tensor:
    """Undo the normalisation: (B, 3, H, W) in [0, 1], whole grey levels.

    The levels are computed in floating point and truncated, not rounded, so
    that many are one too low. The published code does the same, and only
    these images reproduce its pseudo labels.

    Args:
        inputs (Tensor): (B, 3, H, W), from the data preprocessor.
        data_preprocessor (nn.Module): Its buffers `mean` and `std`, if it has
            them, were used to normalise.
    """
    inputs = inputs.float()
    if hasattr(data_preprocessor, 'mean'):
        inputs = inputs * data_preprocessor.std + data_preprocessor.mean
    return inputs.clamp(0, 255).floor() / 255


def unpad(maps: Tensor, meta: dict) -> Tensor:
    """Undo padding and flip of the test pipeline, as mmseg does for logits."""
    left, right, top, bottom = meta.get('img_padding_size',
                                        meta.get('padding_size', (0, ) * 4))
    height, width = maps.shape[-2:]
    maps = maps[..., top:height - bottom, left:width - right]
    if meta.get('flip'):
        maps = maps.flip(-1 if meta['flip_direction'] == 'horizontal' else -2)
    return maps


def by_size(step: Callable[[dict], list], data: dict) -> list:
    """Run a step once for the images of each size; keep their order.

    Padding images to one size would change the predictions.

    Args:
        step (Callable): Takes a batch and returns a list of samples.
        data (dict): 'inputs', images (3, H, W), and other lists.
    """
    groups = {}
    for i, image in enumerate(data['inputs']):
        groups.setdefault(image.shape, []).append(i)
    out = {}
    for group in groups.values():
        part = {
            key: [values[i] for i in group]
            for key, values in data.items()
        }
        out.update(zip(group, step(part)))
    return [out[i] for i in range(len(out))]
