# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Restrict maps to the box `(top, bottom, left, right)` that shows image."""
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor


def box_mask(boxes: Tensor, size: Tuple[int, int]) -> Tensor:
    """Mark the pixels inside the boxes, (B, H, W) bool.

    Args:
        boxes (Tensor): (B, 4) int64, (top, bottom, left, right), the last
            row and column excluded.
        size (tuple[int, int]): Height and width of the crop.
    """
    top, bottom, left, right = boxes[:, :, None].unbind(1)
    rows = torch.arange(size[0], device=boxes.device)
    cols = torch.arange(size[1], device=boxes.device)
    rows = (rows >= top) & (rows < bottom)
    cols = (cols >= left) & (cols < right)
    return rows[:, :, None] & cols[:, None, :]


def half_sizes(boxes: Tensor) -> Tensor:
    """Halve the height and width of each box: (B, 2) int64, at least 1."""
    top, bottom, left, right = boxes.unbind(1)
    sizes = torch.stack([bottom - top, right - left], 1)
    return (sizes // 2).clamp_(min=1)


def _source_coordinates(line: Tensor,
                        dst: Tensor,
                        src: Tensor,
                        align_corners: bool = False) -> Tensor:
    """Compute the coordinates (B, n) that interpolate reads for a line.

    `dst` resized pixels, numbered in `line`, cover `src` source pixels.
    """
    src, dst = src[:, None].double(), dst[:, None].double()
    if align_corners:
        at = line * ((src - 1) / (dst - 1).clamp(min=1))
    else:
        at = (line + 0.5) * (src / dst) - 0.5
    return torch.minimum(at.clamp(min=0), src - 1)


def _sample(x: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Read x (B, C, H, W) at (B, h) rows and (B, w) columns, bilinearly."""
    height, width = x.shape[-2:]
    rows = rows * (2. / max(height - 1, 1)) - 1
    cols = cols * (2. / max(width - 1, 1)) - 1
    grid = torch.stack([
        cols[:, None, :].expand(-1, rows.shape[1], -1),
        rows[:, :, None].expand(-1, -1, cols.shape[1])
    ], -1)
    return F.grid_sample(
        x, grid.to(x.dtype), padding_mode='border', align_corners=True)


def boxes_to_half(x: Tensor,
                  boxes: Tensor,
                  align_corners: bool = False) -> Tensor:
    """Cut boxes (B, 4) out of (B, C, H, W) and resize each to half its size.

    Returns:
        Tensor: (B, C, max(H // 2, 1), max(W // 2, 1)), each box in the top
        left corner, its border repeated beyond.
    """
    top, bottom, left, right = boxes.unbind(1)
    half_height, half_width = half_sizes(boxes).unbind(1)
    height, width = (
        torch.arange(max(n // 2, 1), device=x.device)[None]
        for n in x.shape[-2:])
    rows = _source_coordinates(height, half_height, bottom - top,
                               align_corners)
    cols = _source_coordinates(width, half_width, right - left, align_corners)
    return _sample(x, rows + top[:, None], cols + left[:, None])


def half_to_boxes(x: Tensor, boxes: Tensor, size: Tuple[int, int]) -> Tensor:
    """Undo :func:`boxes_to_half`: put each box in its place in a crop.

    Returns:
        Tensor: (B, C, *size); outside the boxes their border is repeated.
    """
    top, bottom, left, right = boxes.unbind(1)
    half_height, half_width = half_sizes(boxes).unbind(1)
    height, width = (torch.arange(n, device=x.device) for n in size)
    rows = _source_coordinates(height - top[:, None], bottom - top,
                               half_height)
    cols = _source_coordinates(width - left[:, None], right - left, half_width)
    return _sample(x, rows, cols)
