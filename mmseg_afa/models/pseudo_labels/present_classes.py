# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import NamedTuple, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from ...utils import IGNORE_INDEX

LOWEST = -1e4  # score of absent classes; resizing would make -inf NaN


class PresentClasses(NamedTuple):
    """Hold background and the classes present, as the channels of a batch.

    Labels are made from the maps of these classes alone: an image shows few
    of the 20 or 80 classes. `index` (B, K + 1) int64 are class numbers,
    background first. `valid` (B, K + 1) bool is False for the filling of
    images that show fewer than K classes.

    Without `background` every pixel shows one of the classes present. The
    background's channel stays, but it is not valid and never wins.
    """
    index: Tensor
    valid: Tensor
    background: bool = True

    @classmethod
    def from_image_label(cls,
                         image_label: Tensor,
                         most: Optional[int] = None,
                         background: bool = True) -> 'PresentClasses':
        """Read a multi-hot image label.

        Args:
            image_label (Tensor): (B, C).
            most (int, optional): K, at least the largest number of classes
                that an image shows. Without it the host has to wait for a
                GPU to count them.
            background (bool): The background counts as present.
        """
        present = image_label > 0
        if most is None:
            most = int(present.sum(1).max())
        # at least one channel, so that there is something to resize
        most = max(most, 1)
        # stable, so that the classes stay in ascending order
        order = present.byte().argsort(dim=1, descending=True, stable=True)
        index = F.pad(order[:, :most] + 1, (1, 0))
        valid = F.pad(
            present.gather(1, order[:, :most]), (1, 0), value=background)
        return cls(index, valid, background)

    def select_channels(self, cam: Tensor) -> Tensor:
        """Select the present classes' maps (B, K, H, W) of (B, C, H, W)."""
        index = self.index[:, 1:, None, None] - 1
        return cam.gather(1, index.expand(-1, -1, *cam.shape[-2:]))

    def softmax_with_background(self, cam: Tensor, bkg_score: float) -> Tensor:
        """Softmax over a constant background and the present classes.

        Args:
            cam (Tensor): (B, K, H, W), from :meth:`select_channels`.
            bkg_score (float): Score of the background.

        Returns:
            Tensor: (B, K + 1, H, W), background first; the filling is 0.
        """
        scores = F.pad(cam, (0, 0, 0, 0, 1, 0), value=bkg_score)
        return scores.masked_fill_(~self.valid[:, :, None, None],
                                   LOWEST).softmax(1)

    def argmax(self, scores: Tensor) -> Tensor:
        """Find the class of the largest of (B, K + 1, H, W) scores, (B, H, W).

        Of equal scores the first wins. Without background, an image that
        shows no class is 255.
        """
        index = self.index
        if not self.background:
            index = index.masked_fill(~self.valid, IGNORE_INDEX)[:, 1:]
            scores = scores[:, 1:]
        # Ten times as fast as torch.argmax over a dimension of a few.
        count = scores.shape[1]
        rank = torch.arange(
            count, 0, -1, dtype=scores.dtype, device=scores.device)
        largest = scores == scores.amax(1, keepdim=True)
        first = (largest * rank[:, None, None]).amax(1)
        channel = count - first.long()
        return index.gather(1, channel.flatten(1)).view_as(channel)

    def scatter(self, scores: Tensor, num_classes: int) -> Tensor:
        """Scatter (B, K + 1, H, W) to (B, num_classes, H, W), absent 0."""
        scores = scores * self.valid[:, :, None, None]
        index = self.index[:, :, None, None].expand_as(scores)
        out = scores.new_zeros(len(scores), num_classes, *scores.shape[-2:])
        return out.scatter_add_(1, index, scores)
