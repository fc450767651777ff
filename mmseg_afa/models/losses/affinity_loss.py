# Copyright (c) mmseg_afa contributors. All rights reserved.
from mmengine.dist import all_reduce, get_world_size
from mmseg.registry import MODELS
from torch import Tensor, nn


def global_count(mask: Tensor) -> Tensor:
    """Count the True entries of a mask over all processes."""
    count = mask.sum().float()
    all_reduce(count)
    return count


@MODELS.register_module()
class AffinityLoss(nn.Module):
    """Pull the affinity of same-class pairs to 1, of others to 0 (AFA, eq. 4).

    The loss is half the mean of 1 - A over positive pairs plus half the mean
    of A over negative pairs. Each sum is divided by its count + 1, the counts
    of all processes.

    Args:
        loss_weight (float): Weight of the loss.
        loss_name (str): Name in the log.
    """

    def __init__(self,
                 loss_weight: float = 0.1,
                 loss_name: str = 'loss_aff') -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(self, affinity: Tensor, label: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            affinity (Tensor): (B, N, N) in [0, 1].
            label (Tensor): (B, N, N): 1 same class, 0 different classes,
                255 ignored.

        Returns:
            Tensor: Scalar; 0 if no pair has a label.
        """
        affinity = affinity.float()
        positive, negative = label == 1, label == 0
        world_size = get_world_size()
        loss = ((1 - affinity) * positive).sum() / (global_count(positive) + 1)
        loss = loss + (affinity * negative).sum() / (
            global_count(negative) + 1)
        return 0.5 * self.loss_weight * world_size * loss
