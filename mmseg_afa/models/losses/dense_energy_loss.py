# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Compute a dense CRF loss with a Gaussian bilateral kernel."""
from typing import Optional

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..utils import rescale

# Blur along one axis, for offsets 0, 1 and 2. With the linear interpolations
# of splat and slice, the kernel has the Gaussian's mean value at distance 0
# and variance 1.
BLUR = (0.4810, 0.2349, 0.0246)


def _corners(features: Tensor, strides: Tensor):
    """Yield cells (P, ) around each pixel and multilinear weights (P, 1)."""
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
    """Sum values over all pixels with the kernel exp(-|f_p - f_q|^2 / 2).

    The sum is computed on a bilateral grid (Chen et al., SIGGRAPH 2007) with
    one cell per standard deviation: splat, blur, slice. The time is linear in
    the number of pixels. The mean error is below a tenth of the exact sum.
    Values are (P, K), features (P, D) in standard deviations.
    """
    # two cells of margin on each side, for the blur
    features = features - features.amin(0) + 2
    shape = (features.amax(0).floor().long() + 4).tolist()
    strides = [1]
    for cells in reversed(shape[1:]):
        strides.insert(0, strides[0] * cells)
    strides = torch.tensor(strides, device=features.device)
    num_cells = shape[0] * int(strides[0])

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
    """Compute the gated dense CRF energy of the predicted probabilities.

    The loss favours one class for pixels of similar position and colour. It
    is minus the sum over classes of S^T W S, with the bilateral Gaussian
    kernel W over all pairs of pixels ("On Regularized Losses for
    Weakly-supervised CNN Segmentation", ECCV 2018). The gate selects pixels
    that the label ignores or where the network is uncertain.

    Args:
        loss_weight (float): Weight of the loss; 0.01 in the AFA paper.
        weight (float): Scale of the energy, a sum over all pairs of pixels.
        sigma_rgb (float): Kernel width in grey levels.
        sigma_xy (float): Kernel width in pixels of the full-size crop.
        scale_factor (float): Size of the energy's grid relative to the crop.
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
        self.loss_name = loss_name

    def features(self, image: Tensor) -> Tensor:
        """Compute kernel features (B, H * W, 5) of images (B, 3, H, W)."""
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
            region (Tensor, optional): (B, H, W) bool, pixels to include.
            ignore_index (int): Label of pixels without supervision.

        Returns:
            Tensor: Scalar <= 0.
        """
        with torch.autocast(image.device.type, enabled=False):
            prob = rescale(cls_score.float().softmax(1), self.scale_factor)
            image = rescale(image.float(), self.scale_factor)
            size = image.shape[-2:]
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
            # W is symmetric, so the gradient of S^T W S is 2 W S. The value
            # of the first factor is S: only its gradient is doubled.
            energy = (2 * prob - prob.detach()) * filtered
            return -self.loss_weight * self.weight * energy.sum() / len(image)
