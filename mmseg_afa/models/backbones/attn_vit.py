# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Define a plain Vision Transformer that can return its attention logits.

It has the parameter names of mmpretrain's VisionTransformer. All checkpoints
of that class load (ViT, DeiT, MAE, DINOv2, CLIP).
"""
from typing import List, Sequence, Tuple, Union

import torch.nn.functional as F
from mmpretrain.models import VisionTransformer
from torch import Tensor

from ...utils import UserError
from ...utils.checkpoints import check_pretrained
from ..utils import AttentionLogits


class AttnVisionTransformer(VisionTransformer):
    """Return features and attention of a plain ViT (AFA, section 3.1).

    With any mmseg head the class acts as mmpretrain's VisionTransformer with
    feature maps as outputs. With ``backbone(x, with_attention=True)`` it also
    returns the attention logits of the blocks named by `attn_blocks`. Every
    block attends through scaled_dot_product_attention.

    Feature maps and logits leave out the class token. All maps have the
    stride of the patches. As in mmpretrain, an input is padded with zeros on
    the right and at the bottom to whole patches, and the position embedding
    is resized to the grid of the input.

    Args:
        arch (str or dict): Name in mmpretrain ('base', 'deit-small', ...) or
            settings.
        patch_size (int): Side of a patch in pixels, the stride of all maps.
        out_indices (Sequence[int]): Blocks whose feature maps are returned,
            from 0; negative numbers count from the end. The map of the last
            block is normalised.
        attn_blocks (Sequence[int]): Blocks whose logits are returned, counted
            in the same way. The first block is not allowed.
        kwargs: Arguments of mmpretrain's VisionTransformer.
    """

    def __init__(self,
                 arch: Union[str, dict] = 'base',
                 patch_size: int = 16,
                 out_indices: Sequence[int] = (-1, ),
                 attn_blocks: Sequence[int] = (-2, -1),
                 **kwargs) -> None:
        super().__init__(
            arch=arch, patch_size=patch_size, out_type='featmap', **kwargs)
        self.map_blocks = self._blocks('out_indices', out_indices, first=0)
        self.attn_blocks = self._blocks('attn_blocks', attn_blocks, first=1)
        # The logits of a block need its input: the map of the block before.
        before = [block - 1 for block in self.attn_blocks]
        self.out_indices = sorted({*self.map_blocks, *before})

    def init_weights(self) -> None:
        """Load or draw the weights that `init_cfg` names."""
        check_pretrained(self)
        super().init_weights()

    def _blocks(self, name: str, blocks: Sequence[int],
                first: int) -> List[int]:
        """Check block numbers and count negative ones from 0."""
        counted = [b + self.num_layers if b < 0 else b for b in blocks]
        for block, number in zip(blocks, counted):
            if not first <= number < self.num_layers:
                raise UserError(
                    f'backbone.{name}: {block} is not one of the blocks '
                    f'{first} to {self.num_layers - 1}')
        return counted

    def forward(
        self,
        x: Tensor,
        with_attention: bool = False
    ) -> Union[Tuple[Tensor, ...], Tuple[Tuple[Tensor, ...],
                                         List[AttentionLogits]]]:
        """Extract features of images (B, 3, H, W) of any size.

        Returns:
            tuple[Tensor] or tuple[tuple[Tensor], list[AttentionLogits]]:
            Feature maps (B, C, h, w) in the order of `out_indices`, with
            h = ceil(H / patch_size) and w = ceil(W / patch_size). Then, if
            requested, the logits Q K^T before scaling and softmax,
            (B, heads, h * w, h * w), in the order of `attn_blocks`.
        """
        maps = dict(zip(self.out_indices, super().forward(x)))
        feats = tuple(maps[block] for block in self.map_blocks)
        if not with_attention:
            return feats
        return feats, [
            self._logits(block, maps[block - 1]) for block in self.attn_blocks
        ]

    def _logits(self, block: int, x: Tensor) -> AttentionLogits:
        """Compute the logits of a block from its input map (B, C, h, w).

        Queries and keys are computed a second time, at about a sixth of the
        block's cost: mmpretrain's attention does not return them.
        """
        layer = self.layers[block]
        qkv, heads = layer.attn.qkv, layer.attn.num_heads
        both = slice(0, 2 * self.embed_dims)  # queries and keys, not values
        tokens = F.linear(
            layer.ln1(x.flatten(2).transpose(1, 2)), qkv.weight[both],
            None if qkv.bias is None else qkv.bias[both])
        # (B, N, [q, k], heads, d), the order of mmpretrain's attention
        query, key = tokens.unflatten(2, (2, heads, -1)).unbind(2)
        return AttentionLogits(query.transpose(1, 2), key.transpose(1, 2))
