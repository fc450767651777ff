# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Dict

import torch
from torch import nn

from .device import seconds_of


@torch.no_grad()
def benchmark_inference(
        model: nn.Module,
        batch: int,
        size: int,
        repeat: int = 20,
        warmup: int = 3,
        dtype: torch.dtype = torch.float32) -> Dict[str, float]:
    """Time the segmentation of images at one scale: no CAM, no data loading.

    Args:
        model (nn.Module): A segmentor; it is put into evaluation mode.
        batch (int): Number of images in a pass.
        size (int): Their height and width in pixels.
        repeat (int): Number of passes timed.
        warmup (int): Number of passes before.
        dtype (torch.dtype): What autocast computes in, float32 for none.

    Returns:
        dict[str, float]: Seconds of a pass, and images a second.
    """
    model.eval()
    device = next(model.parameters()).device
    images = torch.randn(batch, 3, size, size, device=device)
    metas = [
        dict(
            img_shape=(size, size),
            ori_shape=(size, size),
            pad_shape=(size, size)) for _ in range(batch)
    ]

    def segment():
        with torch.autocast(
                device.type, dtype, enabled=dtype != torch.float32):
            return model.inference(images, metas).argmax(1)

    seconds = seconds_of(segment, device, repeat, warmup)
    return dict(
        batch=batch,
        size=size,
        seconds=seconds,
        images_per_second=batch / seconds)
