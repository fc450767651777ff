# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Dict, Sequence, Union

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, OptMultiConfig
from torch import Tensor, nn

from ...utils import UserError
from ..utils import AttentionLogits, mix_heads


@MODELS.register_module()
class AFAHead(BaseModule):
    """Predict semantic affinity from self-attention (AFA, section 3.2).

    The attention logits of all heads and blocks are made symmetric (A + A^T),
    reduced to one channel by a 1x1 convolution, and passed to a sigmoid.

    Args:
        in_channels (int): Number of attention heads in all blocks: 16 for
            the last two blocks of a Mix Transformer, 24 for those of a ViT-B.
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

    def forward(
            self, attentions: Sequence[Union[AttentionLogits,
                                             Tensor]]) -> Tensor:
        """Compute the affinity.

        Args:
            attentions (Sequence[AttentionLogits or Tensor]): Raw attention
                logits of each block, as factors or (B, heads, N, N).

        Returns:
            Tensor: (B, N, N) float32 in [0, 1], symmetric.
        """
        heads = [(attention.query if isinstance(attention, AttentionLogits)
                  else attention).shape[1] for attention in attentions]
        if sum(heads) != self.proj.in_channels:
            raise UserError(
                f'affinity_head.in_channels is {self.proj.in_channels}, but '
                f'the backbone returns {sum(heads)} attention channels. Set '
                'in_channels to heads x blocks of backbone.attn_blocks.')
        # The convolution and the transpose commute: mix the heads first.
        weights = self.proj.weight.flatten().split(heads)
        logits = sum(map(mix_heads, attentions, weights))
        return (logits + logits.transpose(1, 2) +
                self.proj.bias.float()).sigmoid()

    def loss(self, affinity: Tensor, label: Tensor) -> Dict[str, Tensor]:
        """Compute the loss of an affinity under a label, (B, N, N) each."""
        return {self.loss_aff.loss_name: self.loss_aff(affinity, label)}
