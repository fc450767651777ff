# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Dict, Sequence

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, OptMultiConfig
from torch import Tensor, nn


@MODELS.register_module()
class AFAHead(BaseModule):
    """Semantic affinity from self-attention (AFA, section 3.2).

    The attention logits of several heads and blocks are made symmetric,
    A + A^T, reduced to one channel by a 1x1 convolution, and squashed.

    Args:
        in_channels (int): Attention heads over all blocks that are read;
            16 for the last two blocks of a Mix Transformer.
        loss_aff (dict): Config of the affinity loss.
        init_cfg (dict, optional): Initialisation config.
    """

    def __init__(
        self,
        in_channels: int = 16,
        loss_aff: ConfigType = dict(type='AffinityLoss', loss_weight=0.1),
        init_cfg: OptMultiConfig = dict(
            type='Kaiming',
            layer='Conv2d',
            a=5**0.5,
            mode='fan_out',
            nonlinearity='leaky_relu')
    ) -> None:
        super().__init__(init_cfg)
        self.proj = nn.Conv2d(in_channels, 1, 1)
        self.loss_aff = MODELS.build(loss_aff)

    def forward(self, attentions: Sequence[Tensor]) -> Tensor:
        """Attention logits to affinity.

        Args:
            attentions (Sequence[Tensor]): (B, heads, N, N) raw logits of
                each block, on the same grid of N cells.

        Returns:
            Tensor: (B, N, N) float32 in [0, 1], symmetric.
        """
        attention = torch.cat(list(attentions), 1)
        if attention.shape[1] != self.proj.in_channels:
            raise ValueError(
                f'affinity_head.in_channels is {self.proj.in_channels}, but '
                f'the backbone gives {attention.shape[1]} attention channels;'
                ' set in_channels to heads x blocks of backbone.attn_blocks')
        # The convolution and the transpose commute; this order needs a
        # sixteenth of the memory. The bias is added once.
        logits = self.proj(attention)[:, 0].float()
        bias = self.proj.bias.float()
        return (logits + logits.transpose(1, 2) - bias).sigmoid()

    def loss(self, affinity: Tensor, label: Tensor) -> Dict[str, Tensor]:
        """Losses of an affinity (B, N, N) under a label (B, N, N)."""
        return {self.loss_aff.loss_name: self.loss_aff(affinity, label)}
