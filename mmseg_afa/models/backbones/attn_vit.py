# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Plain Vision Transformer that can hand out its attention logits.

Built on mmpretrain's VisionTransformer: same parameter names, so all of its
checkpoints load (ViT, DeiT, MAE, DINOv2, CLIP).
"""
from typing import List, Sequence, Tuple, Union

import torch.nn.functional as F
from mmpretrain.models import VisionTransformer
from torch import Tensor

from ..utils import AttentionLogits


class AttnVisionTransformer(VisionTransformer):
    """Plain Vision Transformer with attention outputs (for AFA, section 3.1).

    Under any mmseg head it is mmpretrain's VisionTransformer that gives
    feature maps. With ``backbone(x, with_attention=True)`` it also returns
    the attention logits of the blocks named by `attn_blocks`. Attention
    itself runs through scaled_dot_product_attention in every block.

    Feature maps and logits are those of the patches; the class token is left
    out. All maps have the stride of the patches. An input that they do not
    divide is padded with zeros on the right and at the bottom, as mmpretrain
    does, and the position embedding is resized to its grid.

    Args:
        arch (str or dict): Of mmpretrain: 'base', 'deit-small', ...
        patch_size (int): Side of a patch in pixels, the stride of all maps.
        out_indices (Sequence[int]): Blocks that give a feature map, from 0; a
            negative one counts from the end. The last block's is normalised.
        attn_blocks (Sequence[int]): Blocks whose logits are returned, counted
            in the same way; not the first one.
        kwargs: Of mmpretrain's VisionTransformer.

    Raises:
        ValueError: For a block that does not exist, or the first one's logits.
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
        # A block's logits are made of its input: what the one before gives.
        before = [block - 1 for block in self.attn_blocks]
        self.out_indices = sorted({*self.map_blocks, *before})

    def _blocks(self, name: str, blocks: Sequence[int],
                first: int) -> List[int]:
        """Block numbers, counted from 0."""
        counted = [b + self.num_layers if b < 0 else b for b in blocks]
        for block, number in zip(blocks, counted):
            if not first <= number < self.num_layers:
                raise ValueError(
                    f'backbone.{name}: {block} is not one of the blocks '
                    f'{first} to {self.num_layers - 1}')
        return counted

    def forward(
        self,
        x: Tensor,
        with_attention: bool = False
    ) -> Union[Tuple[Tensor, ...], Tuple[Tuple[Tensor, ...],
                                         List[AttentionLogits]]]:
        """Extract features.

        Args:
            x (Tensor): (B, 3, H, W), any size.
            with_attention (bool): Also return attention logits.

        Returns:
            tuple[Tensor] or tuple[tuple[Tensor], list[AttentionLogits]]:
            Feature maps (B, C, h, w), h = ceil(H / patch_size) and w alike,
            in the order of `out_indices`, and, where asked for, the logits
            Q K^T before scaling and softmax, (B, heads, h * w, h * w), in the
            order of `attn_blocks`.
        """
        maps = dict(zip(self.out_indices, super().forward(x)))
        feats = tuple(maps[block] for block in self.map_blocks)
        if not with_attention:
            return feats
        return feats, [
            self._logits(block, maps[block - 1]) for block in self.attn_blocks
        ]

    def _logits(self, block: int, x: Tensor) -> AttentionLogits:
        """The logits of a block, of the map (B, C, h, w) that it reads.

        They are projected anew, at about a sixth of the block's cost: its own
        queries and keys stay inside of mmpretrain's attention.
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
