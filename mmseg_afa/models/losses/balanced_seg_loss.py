# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional

import torch.nn.functional as F
from mmengine.dist import get_world_size
from mmseg.registry import MODELS
from torch import Tensor, nn

from .affinity_loss import global_count


@MODELS.register_module()
class BalancedSegLoss(nn.Module):
    """Weigh background and foreground equally in the cross-entropy.

    The loss is half the mean over background pixels plus half the mean over
    foreground pixels of the label. A side without pixels adds 0. The means
    are taken over all processes.

    Args:
        loss_weight (float): Weight of the loss.
        loss_name (str): Name in the log.
    """

    def __init__(self,
                 loss_weight: float = 0.1,
                 loss_name: str = 'loss_seg') -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self,
                cls_score: Tensor,
                label: Tensor,
                weight: Optional[Tensor] = None,
                ignore_index: int = 255,
                reduction_override: Optional[str] = None) -> Tensor:
        """Compute the loss.

        Args:
            cls_score (Tensor): (B, C + 1, H, W) logits, background first.
            label (Tensor): (B, H, W) int64 in 0..C, or ignore_index.
            weight (Tensor, optional): (B, H, W) factors of the pixels.
            ignore_index (int): Label of pixels without supervision.
            reduction_override (str, optional): 'none' returns the loss of
                each pixel, by which `OHEMPixelSampler` selects pixels.

        Returns:
            Tensor: Scalar, or (B, H, W).
        """
        loss = F.cross_entropy(
            cls_score.float(),
            label,
            reduction='none',
            ignore_index=ignore_index)
        if reduction_override == 'none':
            return self.loss_weight * loss
        if weight is not None:
            loss = loss * weight
        background = label == 0
        foreground = ~background & (label != ignore_index)
        loss = sum((loss * side).sum() / global_count(side).clamp(min=1)
                   for side in (background, foreground))
        return 0.5 * self.loss_weight * get_world_size() * loss
