# Copyright (c) mmseg_afa contributors. All rights reserved.
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class MultiLabelSoftMarginLoss(nn.Module):
    """Average the binary cross-entropy over classes and images.

    Args:
        loss_weight (float): Weight of the loss.
        loss_name (str): Name in the log.
    """

    def __init__(self,
                 loss_weight: float = 1.0,
                 loss_name: str = 'loss_cls') -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, cls_score: Tensor, label: Tensor) -> Tensor:
        """Compute the loss from logits (B, C) and multi-hot labels (B, C)."""
        return self.loss_weight * F.multilabel_soft_margin_loss(
            cls_score.float(), label)
