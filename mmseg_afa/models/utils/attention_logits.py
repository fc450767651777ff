# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import NamedTuple, Union

import torch
from torch import Tensor


class AttentionLogits(NamedTuple):
    """Keep the logits Q K^T of an attention block as their two factors.

    The logits, (B, heads, Nq, Nk), would be the largest tensor of a training
    step. `query` is (B, heads, Nq, d), `key` (B, heads, Nk, d).
    """
    query: Tensor
    key: Tensor

    def full(self) -> Tensor:
        """Compute the logits before scaling, (B, heads, Nq, Nk)."""
        return self.query @ self.key.transpose(-2, -1)

    def mix(self, weights: Tensor) -> Tensor:
        """Sum up the logits over the heads with weights, in float32.

        The weights go into the query, and the sum over heads becomes part of
        one matrix product: sum_h w_h Q_h K_h^T = [w_1 Q_1 ... ] [K_1 ...]^T.

        Args:
            weights (Tensor): (heads, ).
        """
        # autocast would round the logits, which are not small
        with torch.autocast(self.query.device.type, enabled=False):
            query = self.query.float() * weights.float()[:, None, None]
            query, key = (
                x.transpose(1, 2).flatten(2)
                for x in (query, self.key.float()))
            return query @ key.transpose(1, 2)


def mix_heads(attention: Union[AttentionLogits, Tensor],
              weights: Tensor) -> Tensor:
    """Sum up logits in either form over the heads, (B, Nq, Nk) float32."""
    if isinstance(attention, AttentionLogits):
        return attention.mix(weights)
    with torch.autocast(attention.device.type, enabled=False):
        return torch.einsum('bhij,h->bij', attention.float(), weights.float())


def first_images(attention: Union[AttentionLogits, Tensor],
                 num: int) -> Union[AttentionLogits, Tensor]:
    """Select the logits, in either form, of the first images of a batch."""
    if isinstance(attention, AttentionLogits):
        return AttentionLogits(attention.query[:num], attention.key[:num])
    return attention[:num]
