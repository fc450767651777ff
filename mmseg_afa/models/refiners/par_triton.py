# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Compute PAR in two fused Triton kernels (par.py has the definition).

A program handles a line of pixels and reads their neighbours through the
caches. Only the weights, 48 per pixel, are written to memory.
"""
import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 128  # pixels of a program
MAX_CHANNELS = 16  # mask channels of a program


@triton.jit
def _neighbour(y, x, offsets, n, last_row, last_col, width):
    """Compute the index of each pixel's n-th neighbour, borders repeated."""
    row = tl.maximum(tl.minimum(y + tl.load(offsets + 2 * n), last_row), 0)
    col = tl.maximum(tl.minimum(x + tl.load(offsets + 2 * n + 1), last_col), 0)
    return row * width + col


@triton.jit
def _weights_kernel(image, sizes, offsets, position, weights, height, width,
                    count, w1, w2, BLOCK: tl.constexpr):
    batch = tl.program_id(1)
    pixels = height * width
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = p < pixels
    y, x = p // width, p % width
    last_row = tl.load(sizes + 2 * batch) - 1
    last_col = tl.load(sizes + 2 * batch + 1) - 1
    red = image + batch.to(tl.int64) * 3 * pixels
    green, blue = red + pixels, red + 2 * pixels
    out = weights + batch.to(tl.int64) * count * pixels + p

    mean_r = tl.zeros([BLOCK], tl.float32)
    mean_g = tl.zeros([BLOCK], tl.float32)
    mean_b = tl.zeros([BLOCK], tl.float32)
    for n in range(count):
        q = _neighbour(y, x, offsets, n, last_row, last_col, width)
        mean_r += tl.load(red + q, mask=inside, other=0.)
        mean_g += tl.load(green + q, mask=inside, other=0.)
        mean_b += tl.load(blue + q, mask=inside, other=0.)
    mean_r /= count
    mean_g /= count
    mean_b /= count

    var_r = tl.zeros([BLOCK], tl.float32)
    var_g = tl.zeros([BLOCK], tl.float32)
    var_b = tl.zeros([BLOCK], tl.float32)
    for n in range(count):
        q = _neighbour(y, x, offsets, n, last_row, last_col, width)
        diff_r = tl.load(red + q, mask=inside, other=0.) - mean_r
        diff_g = tl.load(green + q, mask=inside, other=0.) - mean_g
        diff_b = tl.load(blue + q, mask=inside, other=0.) - mean_b
        var_r += diff_r * diff_r
        var_g += diff_g * diff_g
        var_b += diff_b * diff_b
    width_r = (tl.sqrt(var_r / (count - 1)) + 1e-8) * w1
    width_g = (tl.sqrt(var_g / (count - 1)) + 1e-8) * w1
    width_b = (tl.sqrt(var_b / (count - 1)) + 1e-8) * w1

    # Softmax over the neighbours: a running maximum and sum, then a second
    # pass over the stored logits.
    centre_r = tl.load(red + p, mask=inside, other=0.)
    centre_g = tl.load(green + p, mask=inside, other=0.)
    centre_b = tl.load(blue + p, mask=inside, other=0.)
    largest = tl.full([BLOCK], float('-inf'), tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    for n in range(count):
        q = _neighbour(y, x, offsets, n, last_row, last_col, width)
        near_r = tl.load(red + q, mask=inside, other=0.)
        near_g = tl.load(green + q, mask=inside, other=0.)
        near_b = tl.load(blue + q, mask=inside, other=0.)
        diff_r = (near_r - centre_r) / width_r
        diff_g = (near_g - centre_g) / width_g
        diff_b = (near_b - centre_b) / width_b
        logit = (diff_r * diff_r + diff_g * diff_g + diff_b * diff_b) / -3.
        tl.store(out + n * pixels, logit, mask=inside)
        larger = tl.maximum(largest, logit)
        total = total * tl.exp(largest - larger) + tl.exp(logit - larger)
        largest = larger
    tl.debug_barrier()  # a thread may read logits that another one stored
    for n in range(count):
        logit = tl.load(out + n * pixels, mask=inside, other=0.)
        weight = tl.exp(logit - largest) / total
        weight += w2 * tl.load(position + n)
        tl.store(out + n * pixels, weight, mask=inside)


@triton.jit
def _propagate_kernel(masks, weights, sizes, offsets, out, channels, height,
                      width, count, CHANNELS: tl.constexpr,
                      BLOCK: tl.constexpr):
    batch = tl.program_id(1)
    pixels = height * width
    p = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    c = tl.program_id(2) * CHANNELS + tl.arange(0, CHANNELS)
    inside = p < pixels
    both = (c < channels)[:, None] & inside[None, :]
    y, x = p // width, p % width
    last_row = tl.load(sizes + 2 * batch) - 1
    last_col = tl.load(sizes + 2 * batch + 1) - 1
    maps = (batch * channels + c).to(tl.int64)[:, None] * pixels
    weight = weights + batch.to(tl.int64) * count * pixels + p
    total = tl.zeros([CHANNELS, BLOCK], tl.float32)
    for n in range(count):
        q = _neighbour(y, x, offsets, n, last_row, last_col, width)
        near = tl.load(masks + maps + q[None, :], mask=both, other=0.)
        total += near * tl.load(
            weight + n * pixels, mask=inside, other=0.)[None, :]
    tl.store(out + maps + p[None, :], total, mask=both)


def fused_par(image: Tensor, masks: Tensor, sizes: Tensor, offsets: Tensor,
              position: Tensor, num_iter: int, w1: float, w2: float) -> Tensor:
    """Refine masks as :class:`PAR` does.

    Args:
        image (Tensor): (B, 3, H, W) float32, RGB in [0, 1].
        masks (Tensor): (B, C, H, W) float32.
        sizes (Tensor): (B, 2) int64, valid height and width of each image.
        offsets (Tensor): (N, 2) int32, (dy, dx) of the neighbours.
        position (Tensor): (N, ) float32, the position kernel.
        num_iter, w1, w2: Those of PAR.

    Returns:
        Tensor: (B, C, H, W) float32.
    """
    image, masks, sizes = (x.contiguous() for x in (image, masks, sizes))
    batch, channels, height, width = masks.shape
    count = len(offsets)
    blocks = triton.cdiv(height * width, BLOCK)
    weights = image.new_empty(batch, count, height, width)
    _weights_kernel[blocks, batch](image, sizes, offsets, position, weights,
                                   height, width, count, w1, w2, BLOCK)
    together = min(triton.next_power_of_2(channels), MAX_CHANNELS)
    grid = blocks, batch, triton.cdiv(channels, together)
    for _ in range(num_iter):
        refined = torch.empty_like(masks)
        _propagate_kernel[grid](masks, weights, sizes, offsets, refined,
                                channels, height, width, count, together,
                                BLOCK)
        masks = refined
    return masks
