# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Blur masks locally along image edges (pixel-adaptive refinement, PAR).

AFA, section 3.4: each pixel repeatedly becomes a weighted mean of its 48
neighbours. The weights depend on the image only. They are computed once and
shared by all masks and iterations.
"""
import warnings
from functools import lru_cache
from typing import List, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..utils import resize

try:  # the fused kernels; torch for a CPU has no Triton
    from .par_triton import fused_par
except ImportError:
    fused_par = None

DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0),
              (1, 1))

MAX_VALUES = 2**23  # of the masks in one pass: 32 MB


def neighbour_offsets(dilations: Sequence[int]) -> Tuple[Tuple[int, int], ...]:
    """List (dy, dx) of all neighbours: 8 directions for each dilation."""
    return tuple((d * dy, d * dx) for d in dilations for dy, dx in DIRECTIONS)


def replicate_pad(x: Tensor, pad: int, sizes: Optional[Tensor]) -> Tensor:
    """Pad each side of (B, C, H, W) by repeating the border pixels.

    `sizes` (B, 2) are height and width of the valid part of each map, from
    the top left corner. The border of the valid part is repeated.
    """
    if sizes is None:
        return F.pad(x, (pad, ) * 4, mode='replicate')
    batch, channels, height, width = x.shape
    last = (sizes - 1)[:, :, None]
    rows = torch.arange(-pad, height + pad, device=x.device)
    cols = torch.arange(-pad, width + pad, device=x.device)
    rows = torch.minimum(rows.clamp(min=0), last[:, 0])
    cols = torch.minimum(cols.clamp(min=0), last[:, 1])
    x = x.gather(2, rows[:, None, :, None].expand(-1, channels, -1,
                                                  x.shape[3]))
    return x.gather(
        3, cols[:, None, None, :].expand(-1, channels, x.shape[2], -1))


def neighbour_views(x: Tensor,
                    dilations: Sequence[int],
                    sizes: Optional[Tensor] = None) -> List[Tensor]:
    """Shift a map so that each pixel holds the value of its n-th neighbour."""
    pad = max(dilations)
    height, width = x.shape[-2:]
    padded = replicate_pad(x, pad, sizes)
    return [
        padded[..., pad + dy:pad + dy + height, pad + dx:pad + dx + width]
        for dy, dx in neighbour_offsets(dilations)
    ]


@lru_cache(maxsize=32)
def offset_tensor(dilations: Tuple[int, ...], device: torch.device) -> Tensor:
    """Store the neighbours' (dy, dx) as (8 * len(dilations), 2) int32."""
    return torch.tensor(
        neighbour_offsets(dilations), dtype=torch.int32, device=device)


@lru_cache(maxsize=32)
def position_weights(dilations: Tuple[int, ...], w1: float,
                     device: torch.device) -> Tensor:
    """Compute the position kernel, (8 * len(dilations), ) of sum 1."""
    distance = torch.tensor(neighbour_offsets(dilations)).float().norm(dim=1)
    kernel = -(distance / (distance.std() + 1e-8) / w1)**2
    return kernel.softmax(0).to(device)


def par_weights(image: Tensor,
                dilations: Sequence[int],
                w1: float = 0.3,
                w2: float = 0.01,
                sizes: Optional[Tensor] = None) -> Tensor:
    """Compute the weights (B, N, H, W) of each pixel's N neighbours."""
    neighbours = neighbour_views(image, dilations, sizes)
    # One neighbour at a time: all 48 neighbours of a colour image would be
    # the largest tensor of the training step.
    mean = sum(neighbours) / len(neighbours)
    variance = torch.zeros_like(image)
    for neighbour in neighbours:
        diff = neighbour - mean
        variance.addcmul_(diff, diff)
    std = (variance / (len(neighbours) - 1)).sqrt_()
    scale = ((std + 1e-8) * w1).square_().mul_(-image.shape[1]).reciprocal_()
    logits = image.new_empty(len(image), len(neighbours), *image.shape[-2:])
    for neighbour, logit in zip(neighbours, logits.unbind(1)):
        diff = neighbour - image
        torch.sum(diff.square_().mul_(scale), 1, out=logit)
    position = position_weights(tuple(dilations), w1, image.device)
    return logits.softmax(1).add_(w2 * position[:, None, None])


def par_propagate(masks: Tensor,
                  weights: Tensor,
                  dilations: Sequence[int],
                  num_iter: int,
                  sizes: Optional[Tensor] = None) -> Tensor:
    """Replace pixels by the weighted sums of their neighbours, repeatedly."""
    for _ in range(num_iter):
        neighbours = neighbour_views(masks, dilations, sizes)
        masks = torch.zeros_like(masks)
        for neighbour, weight in zip(neighbours, weights.split(1, 1)):
            masks.addcmul_(weight, neighbour)
    return masks


def fused_arguments(par: 'PAR', image: Tensor, masks: Tensor,
                    sizes: Optional[Tensor]) -> tuple:
    """Collect the arguments of :func:`par_triton.fused_par`."""
    if sizes is None:
        size = torch.tensor(image.shape[-2:])
        sizes = size.expand(len(image), 2).to(image.device, non_blocking=True)
    return (image, masks, sizes, offset_tensor(par.dilations, image.device),
            position_weights(par.dilations, par.w1,
                             image.device), par.num_iter, par.w1, par.w2)


def try_fused(par: 'PAR', image: Tensor, masks: Tensor,
              sizes: Optional[Tensor]) -> Optional[Tensor]:
    """Refine by the fused kernels, or return None where they do not work.

    The first failure disables the kernels for the rest of the process.
    """
    global fused_par
    if fused_par is None or not image.is_cuda:
        return None
    try:
        # Triton launches on the current device, not on the tensors' device
        with torch.cuda.device_of(image):
            return fused_par(*fused_arguments(par, image, masks, sizes))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of Triton, its compiler or the driver
        fused_par = None
        warnings.warn('PAR: the Triton kernels do not run here '
                      f'({type(error).__name__}: {error}). PAR uses PyTorch '
                      'operations instead, which are slower.')
        return None


@MODELS.register_module()
class PAR(nn.Module):
    """Pixel-adaptive refinement of soft masks along image edges.

    The module has no parameters and passes no gradient. It computes in
    float32 under any autocast: float16 overflows in flat regions.

    Args:
        num_iter (int): Iterations; 10 on VOC, 15 on COCO.
        dilations (Sequence[int]): Distances of the neighbours in pixels.
        w1 (float): Width of the colour and position kernels, in standard
            deviations of the neighbourhood.
        w2 (float): Share of the position kernel.
    """

    def __init__(self,
                 num_iter: int = 10,
                 dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
                 w1: float = 0.3,
                 w2: float = 0.01) -> None:
        super().__init__()
        self.num_iter = num_iter
        self.dilations = tuple(dilations)
        self.w1 = w1
        self.w2 = w2

    @torch.no_grad()
    def forward(self,
                image: Tensor,
                masks: Tensor,
                sizes: Optional[Tensor] = None) -> Tensor:
        """Refine masks.

        Args:
            image (Tensor): (B, 3, H, W), RGB in [0, 1].
            masks (Tensor): (B, C, h, w). Masks of another size are resized
                to (H, W) with align_corners=True.
            sizes (Tensor, optional): (B, 2) int64, valid height and width
                of each image, from the top left corner, where the images of
                a batch differ in size. Output outside of the valid part is
                finite and has no meaning.

        Returns:
            Tensor: (B, C, H, W) float32.
        """
        with torch.autocast(image.device.type, enabled=False):
            image, masks = image.float(), masks.float()
            masks = resize(masks, image.shape[-2:], align_corners=True)
            refined = try_fused(self, image, masks, sizes)
            if refined is not None:
                return refined
            weights = par_weights(image, self.dilations, self.w1, self.w2,
                                  sizes)
            # a few channels at a time: each takes several maps of memory
            count = max(MAX_VALUES // masks[:, :1].numel(), 1)
            return torch.cat([
                par_propagate(part, weights, self.dilations, self.num_iter,
                              sizes) for part in masks.split(count, 1)
            ], 1)
