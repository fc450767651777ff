# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Compute segmentation logits: whole, in tiles, or with augmentation."""
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

import torch
from torch import Tensor, nn

from ...utils import UserError
from ..utils import rescale, resize

OVERLAP = 128  # pixels that neighbouring tiles share, at least
MIN_TILE = OVERLAP + 4  # tiles begin at cells of 4 pixels


class TTA(NamedTuple):
    """Set up the test-time augmentation of the segmentation."""
    scales: Sequence[float] = (1., 0.5, 0.75)  # of the input size
    flip: bool = True  # add the horizontal flip at each scale


def multi_scale_logits(forward: Callable[[Tensor], Tensor], inputs: Tensor,
                       tta: TTA) -> Tensor:
    """Merge logits over scales: mean over the flip, maximum over scales.

    `forward` maps (B, 3, h, w) to logits. They are merged, in float32, on the
    grid of the first scale.
    """
    merged = None
    for scale in tta.scales:
        scaled = rescale(inputs, scale)
        logits = forward(scaled).float()
        if tta.flip:
            flipped = forward(scaled.flip(-1)).float()
            logits = (logits + flipped.flip(-1)) / 2
        if merged is None:
            merged = logits
        else:
            merged = torch.maximum(merged, resize(logits, merged.shape[-2:]))
    return merged


def tiled_logits(forward: Callable[[Tensor], Tensor],
                 inputs: Tensor,
                 tile: int,
                 overlap: int = OVERLAP) -> Tensor:
    """Compute the logits of large images tile by tile.

    Where tiles overlap, their logits are averaged. Only logits at a quarter
    of the image's size are kept: 4000 x 3000 pixels and 21 classes are 63 MB
    there, and 1 GB at the size of the image.

    Args:
        forward (Callable): (B, 3, h, w) to logits (B, C + 1, ...).
        inputs (Tensor): (B, 3, H, W), normalised.
        tile (int): Side of a tile in pixels, larger than the overlap.
        overlap (int): Pixels that neighbouring tiles share, at least.

    Returns:
        Tensor: (B, C + 1, H / 4, W / 4), rounded up.
    """
    stride = (tile - overlap) // 4 * 4  # tiles begin at cells of the grid
    if stride <= 0:
        raise UserError(f'A tile of {tile} pixels is not larger than the '
                        f'overlap of {overlap}: take a larger tile.')
    height, width = inputs.shape[-2:]
    total = count = None
    for top in range(0, max(height - overlap, 1), stride):
        for left in range(0, max(width - overlap, 1), stride):
            part = inputs[..., top:top + tile, left:left + tile]
            logits = resize(forward(part), quarter(part.shape[-2:]))
            if total is None:
                grid = quarter((height, width))
                total = logits.new_zeros(*logits.shape[:2], *grid)
                count = logits.new_zeros(grid)
            rows = slice(top // 4, top // 4 + logits.shape[2])
            cols = slice(left // 4, left // 4 + logits.shape[3])
            total[..., rows, cols] += logits
            count[rows, cols] += 1
    return total.div_(count)


def quarter(size: Sequence[int]) -> List[int]:
    """Divide a height and a width by four, rounded up."""
    return [-(-n // 4) for n in size]


def slides(model: nn.Module) -> bool:
    """Return True if a segmentor predicts in windows that slide."""
    return model.test_cfg.get('mode') == 'slide'


def seg_logits(model: nn.Module,
               inputs: Tensor,
               features: Any = None,
               tta: Optional[TTA] = None,
               tile: Optional[int] = None) -> Tensor:
    """Compute the segmentation logits, in tiles or with augmentation if asked.

    Args:
        model (nn.Module): An EncoderDecoder.
        inputs (Tensor): (B, 3, H, W), normalised.
        features (Features, optional): Those of the inputs, to reuse.
        tta (TTA, optional): Test-time augmentation.
        tile (int, optional): Side of the tiles.

    Returns:
        Tensor: (B, C + 1, h, w) float32, on the network's grid or larger. A
        model with one output gets two: mmseg's threshold, and the output.
    """

    def forward(images: Tensor) -> Tensor:
        # mmseg resizes the logits by align_corners, ScoreMaps without it
        own = hasattr(model, 'score_maps') and not model.align_corners
        if own and not slides(model):
            if features is not None and images is inputs:
                return model.decode_head(features.maps)
            return model.decode_head(model.extract_feat(images))
        size = tuple(images.shape[-2:])
        metas = [dict(img_shape=size, ori_shape=size) for _ in images]
        logits = model.inference(images, metas)
        if logits.shape[1] == 1:
            threshold = torch.tensor(model.decode_head.threshold).logit(1e-6)
            background = torch.full_like(logits, threshold.item())
            logits = torch.cat([background, logits], 1)
        return logits

    def run(images: Tensor) -> Tensor:
        return multi_scale_logits(forward, images, tta or TTA((1, ), False))

    return tiled_logits(run, inputs, tile) if tile else run(inputs)
