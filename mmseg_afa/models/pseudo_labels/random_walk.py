# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Compare pairs of grid cells, and spread scores by one random walk step."""
from functools import lru_cache
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...utils import IGNORE_INDEX

EXTRA_WEIGHT = 0.1  # in each sum of a cell's weights, as published


@lru_cache(maxsize=32)
def radius_mask(grid: Tuple[int, int],
                radius: int,
                device: Optional[torch.device] = None) -> Tensor:
    """Mark pairs of grid cells at most `radius` apart (Chebyshev distance).

    Args:
        grid (tuple[int, int]): Rows and columns, N = rows x columns cells.
        radius (int): Largest distance on either axis, in cells.
        device (torch.device, optional): Device of the mask.

    Returns:
        Tensor: (N, N) bool.
    """
    rows, cols = (torch.arange(n, device=device) for n in grid)
    near_rows = (rows[:, None] - rows).abs() <= radius
    near_cols = (cols[:, None] - cols).abs() <= radius
    near = near_rows[:, None, :, None] & near_cols[None, :, None, :]
    return near.reshape(grid[0] * grid[1], -1)


def random_walk(scores: Tensor,
                affinity: Tensor,
                radius: int,
                lazy: bool = False) -> Tensor:
    """Spread class scores over the grid by one step of the affinity.

    Args:
        scores (Tensor): (B, K, h, w) class scores on the affinity's grid.
        affinity (Tensor): (B, N, N) in [0, 1], N = h x w.
        radius (int): Cells farther apart than this exchange nothing.
        lazy (bool): If True, a cell keeps 0.1 of its own scores. If False
            (as published), the 0.1 only enters the normaliser. The scores of
            an isolated cell then drop to about 0, and its neighbours
            overwrite it when the grid is upsampled.

    Returns:
        Tensor: (B, K, h, w) float32.
    """
    grid = tuple(scores.shape[-2:])
    # autocast would run the product in half precision
    with torch.autocast(scores.device.type, enabled=False):
        transition = affinity.float() * radius_mask(grid, radius,
                                                    affinity.device)
        transition.square_()
        # The columns' sums divide the few rows of scores, not all N x N.
        scores = scores.float().flatten(2)
        walked = scores @ transition
        if lazy:
            walked.add_(scores, alpha=EXTRA_WEIGHT)
        walked /= transition.sum(1, keepdim=True) + EXTRA_WEIGHT
        return walked.view(*walked.shape[:2], *grid)


def affinity_label(label: Tensor,
                   grid: Tuple[int, int],
                   radius: int,
                   ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Label pairs of cells that show the same class (AFA, section 3.3).

    Args:
        label (Tensor): (B, H, W) int64.
        grid (tuple[int, int]): The affinity's grid, N = rows x columns.
        radius (int): Pairs farther apart are ignored.
        ignore_index (int): The label of pixels without a class.

    Returns:
        Tensor: (B, N, N) uint8: 1 same class, 0 another, 255 ignore.
    """
    cells = F.interpolate(label[:, None].float(), grid).flatten(1)
    same = (cells[:, :, None] == cells[:, None, :]).byte()
    known = cells != ignore_index
    valid = known[:, :, None] & known[:, None, :] & radius_mask(
        tuple(grid), radius, label.device)
    return same.masked_fill_(~valid, IGNORE_INDEX)
