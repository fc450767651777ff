# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Regularised (dense CRF) loss with a Gaussian bilateral kernel."""
from typing import Optional

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

# A grid as large as this is a mistake in the sigmas: an 8-bit image of
# 512 x 512 pixels has a tenth of it at the default ones.
MAX_CELLS = 4_000_000
# Blur along one axis, for offsets 0, 1 and 2. Together with the linear
# interpolations of splat and slice its mean is the Gaussian's at distance 0
# and its variance 1.
BLUR = (0.4810, 0.2349, 0.0246)


def _corners(features: Tensor, strides: Tensor):
    """Cells around each pixel and their multilinear weights.

    Args:
        features (Tensor): (P, D) positions in units of a cell, >= 0.
        strides (Tensor): (D, ) strides of the flattened grid.

    Yields:
        tuple[Tensor, Tensor]: (P, ) cell numbers and (P, 1) weights.
    """
    base = features.floor()
    frac = features - base
    base = base.long()
    for corner in range(2**features.shape[1]):
        bits = torch.tensor(
            [corner >> d & 1 for d in range(features.shape[1])],
            device=features.device)
        cell = ((base + bits) * strides).sum(1)
        weight = torch.where(bits.bool(), frac, 1 - frac).prod(1)
        yield cell, weight[:, None]


def bilateral_filter(values: Tensor, features: Tensor) -> Tensor:
    """Sums of values under the kernel exp(-|f_p - f_q|^2 / 2), all pixels.

    Computed on a bilateral grid (Chen et al., SIGGRAPH 2007) with one cell
    per standard deviation: splat, blur, slice. Linear in the pixels, and
    within a tenth of the exact sum.

    Args:
        values (Tensor): (P, K).
        features (Tensor): (P, D), in standard deviations.

    Returns:
        Tensor: (P, K).
    """
    # two cells of margin on each side, for the blur
    features = features - features.amin(0) + 2
    shape = (features.amax(0).floor().long() + 4).tolist()
    strides = [1]
    for cells in reversed(shape[1:]):
        strides.insert(0, strides[0] * cells)
    strides = torch.tensor(strides, device=features.device)
    num_cells = shape[0] * int(strides[0])
    if num_cells > MAX_CELLS:
        raise ValueError(
            f'DenseEnergyLoss: its bilateral grid would have {num_cells} '
            f'cells (limit {MAX_CELLS}); raise sigma_rgb or sigma_xy')

    grid = values.new_zeros(num_cells, values.shape[1])
    for cell, weight in _corners(features, strides):
        grid.index_add_(0, cell, values * weight)
    grid = grid.view(*shape, -1)
    for axis in range(len(shape)):
        grid = BLUR[0] * grid + sum(BLUR[n] *
                                    (grid.roll(n, axis) + grid.roll(-n, axis))
                                    for n in (1, 2))
    grid = grid.view(num_cells, -1)

    out = torch.zeros_like(values)
    for cell, weight in _corners(features, strides):
        out += grid[cell] * weight
    # the grid's kernel has mass 1, the Gaussian (2 pi)^(D / 2)
    return out * (2 * torch.pi)**(features.shape[1] / 2)


@MODELS.register_module()
class DenseEnergyLoss(nn.Module):
    """Gated dense CRF energy of the predicted probabilities.

    Neighbours in position and colour should get the same class: minus the
    sum over classes of S^T W S, with the bilateral Gaussian kernel W over all
    pairs of pixels ("On Regularized Losses for Weakly-supervised CNN
    Segmentation", ECCV 2018). The gate lets pixels act that the label ignores
    or of which the network is unsure.

    Args:
        loss_weight (float): Weight in the total; 0.01 in the AFA paper.
        weight (float): Scale of the energy, a sum over all pairs of pixels.
        sigma_rgb (float): Kernel width in grey levels.
        sigma_xy (float): Kernel width in pixels of the full-size crop.
        scale_factor (float): Size at which the energy is computed.
        loss_name (str): Name in the log.
    """

    def __init__(self,
                 loss_weight: float = 0.01,
                 weight: float = 1e-7,
                 sigma_rgb: float = 15.,
                 sigma_xy: float = 100.,
                 scale_factor: float = 0.5,
                 loss_name: str = 'loss_reg') -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.weight = weight
        self.sigma_rgb = sigma_rgb
        self.sigma_xy = sigma_xy
        self.scale_factor = scale_factor
        self._loss_name = loss_name

    def features(self, image: Tensor) -> Tensor:
        """Kernel features (B, H x W, 5) of images (B, 3, H, W) in [0, 1]."""
        batch, _, height, width = image.shape
        sigma_xy = self.sigma_xy * self.scale_factor
        rows, cols = torch.meshgrid(
            torch.arange(height, device=image.device) / sigma_xy,
            torch.arange(width, device=image.device) / sigma_xy,
            indexing='ij')
        position = torch.stack([rows, cols], -1).view(1, -1, 2)
        colour = image.flatten(2).transpose(1, 2) * (255 / self.sigma_rgb)
        return torch.cat([position.expand(batch, -1, -1), colour], -1)

    def forward(self,
                cls_score: Tensor,
                label: Tensor,
                image: Tensor,
                region: Optional[Tensor] = None,
                ignore_index: int = 255) -> Tensor:
        """Compute the loss.

        Args:
            cls_score (Tensor): (B, C + 1, H, W) logits.
            label (Tensor): (B, H, W) int64, the segmentation label in force.
            image (Tensor): (B, 3, H, W), RGB in [0, 1].
            region (Tensor, optional): (B, H, W) bool, pixels that count.
            ignore_index (int): Label of pixels without supervision.

        Returns:
            Tensor: Scalar <= 0.
        """
        with torch.autocast(image.device.type, enabled=False):
            size = [
                max(int(n * self.scale_factor), 1) for n in image.shape[-2:]
            ]
            prob = F.interpolate(
                cls_score.float().softmax(1),
                size,
                mode='bilinear',
                align_corners=False)
            image = F.interpolate(
                image.float(), size, mode='bilinear', align_corners=False)
            unlabelled = F.interpolate(
                (label == ignore_index)[:, None].float(), size)
            if region is not None:
                region = F.interpolate(region[:, None].float(), size)
                prob = prob * region
            with torch.no_grad():
                gate = 1 - prob.amax(1, keepdim=True)
                gate = torch.where(unlabelled > 0, torch.ones_like(gate), gate)
                if region is not None:
                    gate = gate * region
                values = prob.flatten(2).transpose(1, 2)
                filtered = torch.stack([
                    bilateral_filter(v, f)
                    for v, f in zip(values, self.features(image))
                ])
                filtered = filtered.transpose(1, 2).view_as(prob) * gate
            # W is symmetric: the gradient of S^T W S is 2 W S, the value
            # takes half of it back
            energy = (2 * prob - prob.detach()) * filtered
            return -self.loss_weight * self.weight * energy.sum() / len(image)

    @property
    def loss_name(self) -> str:
        return self._loss_name
