# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Define a Mix Transformer that can return its attention logits.

It has the parameter names of mmseg's MixVisionTransformer. Checkpoints of that
class load, and so do SegFormer's.
"""
from itertools import repeat
from typing import Iterator, List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
import torch.utils.checkpoint as cp
from mmengine.model import ModuleList
from mmseg.models.backbones.mit import (EfficientMultiheadAttention, MixFFN,
                                        MixVisionTransformer,
                                        TransformerEncoderLayer)
from mmseg.registry import MODELS
from torch import Tensor

from ...utils.checkpoints import check_pretrained
from ..utils import AttentionLogits
from .mit_names import segformer_to_mmseg

# SegFormer (arXiv 2105.15203), table 6
ARCHS = dict(
    b0=dict(embed_dims=32, num_layers=(2, 2, 2, 2)),
    b1=dict(embed_dims=64, num_layers=(2, 2, 2, 2)),
    b2=dict(embed_dims=64, num_layers=(3, 4, 6, 3)),
    b3=dict(embed_dims=64, num_layers=(3, 4, 18, 3)),
    b4=dict(embed_dims=64, num_layers=(3, 8, 27, 3)),
    b5=dict(embed_dims=64, num_layers=(3, 6, 40, 3)),
)
MAX_LOGITS = 2**22  # attention logits in memory at once: 8 MB in bfloat16


def pad_to_at_least(x: Tensor, size: int) -> Tensor:
    """Zero-pad (B, C, H, W) to at least `size` on both axes."""
    height, width = x.shape[-2:]
    if min(height, width) >= size:
        return x  # F.pad would copy
    return F.pad(x, (0, max(size - width, 0), 0, max(size - height, 0)))


def to_map(x: Tensor, hw_shape: Tuple[int, int]) -> Tensor:
    """View tokens (B, H * W, C) as a channels-last map (B, C, H, W)."""
    # torch recognises these strides as channels-last, also for one image
    return x.unflatten(1, hw_shape).permute(0, 3, 1, 2)


def to_tokens(x: Tensor) -> Tensor:
    """View a channels-last map (B, C, H, W) as tokens (B, H * W, C)."""
    return x.flatten(2).transpose(1, 2)


def add_residual(identity: Tensor, x: Tensor,
                 scale: Optional[Tensor]) -> Tensor:
    """Add a branch (B, N, C), scaled by (B, 1, 1) for stochastic depth."""
    if scale is None:
        return identity + x
    return torch.addcmul(identity, x, scale)


def mix_ffn(ffn: MixFFN, x: Tensor, hw_shape: Tuple[int, int],
            identity: Tensor, scale: Optional[Tensor]) -> Tensor:
    """Run a MixFFN on (B, N, C) without transposed copies of the tokens.

    The 1x1 convolutions are matrix products over tokens. The depth-wise
    convolution reads the tokens as a channels-last map.
    """
    expand, depthwise, activate, drop, reduce, drop_out = ffn.layers
    out = F.linear(x, expand.weight.flatten(1), expand.bias)
    out = to_tokens(depthwise(to_map(out, hw_shape)))
    out = drop(activate(out))
    out = drop_out(F.linear(out, reduce.weight.flatten(1), reduce.bias))
    return add_residual(identity, out, scale)


def attend(query: Tensor,
           key: Tensor,
           value: Tensor,
           dropout_p: float = 0.) -> Tensor:
    """Compute scaled_dot_product_attention, faster in bfloat16 on a CPU.

    On a CPU torch's function takes as long in bfloat16 as in float32. Products
    of parts that fit the cache take 0.6 times as long.
    """
    batch, rows = query.shape[:2], MAX_LOGITS // key[..., 0].numel()
    # the backward pass needs the attention of all parts
    training = torch.is_grad_enabled()
    if (dropout_p or query.device.type != 'cpu'
            or query.dtype != torch.bfloat16
            or training and rows < query.shape[2]):
        return F.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout_p)
    key = key * query.shape[-1]**-0.5
    query, key, value = (x.flatten(0, 1) for x in (query, key, value))
    key, out = key.transpose(1, 2), []
    for part in query.split(max(rows, 1), 1):
        logits = torch.bmm(part, key)
        attention = torch.softmax(logits, -1, out=None if training else logits)
        out.append(torch.bmm(attention, value))
    out = torch.cat(out, 1) if len(out) > 1 else out[0]
    return out.unflatten(0, batch)


class LogitAttention(EfficientMultiheadAttention):
    """Attend by scaled_dot_product_attention; return logits on request."""

    def _project(self, x: Tensor, x_kv: Tensor) -> Tuple[Tensor, ...]:
        """Project tokens (B, N, C) to q, k and v, (B, heads, N, d) each."""
        weight, bias = self.attn.in_proj_weight, self.attn.in_proj_bias
        if x_kv is x:
            parts = [(x, weight, bias)]
        else:
            rows = self.embed_dims, 2 * self.embed_dims
            biases = (None, None) if bias is None else bias.split(rows)
            parts = zip((x, x_kv), weight.split(rows), biases)
        out = []
        for tokens, *layer in parts:
            heads = F.linear(tokens, *layer).unflatten(
                2, (-1, self.num_heads, self.embed_dims // self.num_heads))
            out += heads.permute(2, 0, 3, 1, 4).unbind()
        return tuple(out)

    def forward(
            self,
            x: Tensor,
            hw_shape: Tuple[int, int],
            identity: Tensor,
            scale: Optional[Tensor] = None,
            with_logits: bool = False
    ) -> Tuple[Tensor, Optional[AttentionLogits]]:
        """Attend from tokens (B, N, C), scale, and add the identity.

        The logits are Q K^T before scaling and softmax, (B, heads, Nk, Nk),
        with the query axis pooled to the grid of the keys.
        """
        x_kv = x
        if self.sr_ratio > 1:
            x_kv = pad_to_at_least(to_map(x, hw_shape), self.sr_ratio)
            x_kv = self.norm(to_tokens(self.sr(x_kv)))
        query, key, value = self._project(x, x_kv)
        out = attend(query, key, value,
                     self.attn.dropout if self.training else 0.)
        out = self.attn.out_proj(out.transpose(1, 2).flatten(2))
        logits = None
        if with_logits:
            logits = AttentionLogits(self._pool(query, hw_shape), key)
        return add_residual(identity, self.proj_drop(out), scale), logits

    def _pool(self, query: Tensor, hw_shape: Tuple[int, int]) -> Tensor:
        """Average queries (B, heads, N, d) over the cells that share a key.

        Q K^T is linear in Q: pooling Q pools the query axis of the logits.
        """
        if self.sr_ratio == 1:
            return query
        x = query.transpose(2, 3).flatten(0, 1).unflatten(2, hw_shape)
        x = F.avg_pool2d(pad_to_at_least(x, self.sr_ratio), self.sr_ratio)
        return x.flatten(2).transpose(1, 2).unflatten(0, query.shape[:2])


class LogitEncoderLayer(TransformerEncoderLayer):
    """Run an encoder layer of MiT; return attention logits on request."""

    def __init__(self, embed_dims: int, num_heads: int,
                 feedforward_channels: int, **kwargs) -> None:
        super().__init__(embed_dims, num_heads, feedforward_channels, **kwargs)
        self.attn = LogitAttention(
            embed_dims,
            num_heads,
            attn_drop=kwargs['attn_drop_rate'],
            proj_drop=kwargs['drop_rate'],
            qkv_bias=kwargs['qkv_bias'],
            # the published weights use 1e-5 here, 1e-6 in the blocks' norms
            norm_cfg=dict(kwargs['norm_cfg'], eps=1e-5),
            sr_ratio=kwargs['sr_ratio'])

    def forward(
            self,
            x: Tensor,
            hw_shape: Tuple[int, int],
            scales: Sequence[Optional[Tensor]] = (None, None),
            with_logits: bool = False
    ) -> Tuple[Tensor, Optional[AttentionLogits]]:
        """Map (B, N, C) to (B, N, C) and, if requested, attention logits.

        `scales` are the factors (B, 1, 1) of both branches.
        """

        def inner(x):
            x, logits = self.attn(
                self.norm1(x), hw_shape, x, scales[0], with_logits=with_logits)
            x = mix_ffn(self.ffn, self.norm2(x), hw_shape, x, scales[1])
            return x, logits

        if self.with_cp and x.requires_grad:
            return cp.checkpoint(inner, x, use_reentrant=False)
        return inner(x)


@MODELS.register_module()
class AttnMixVisionTransformer(MixVisionTransformer):
    """Return features and attention of MiT B0 to B5 (AFA, section 3.1).

    With any mmseg head the class replaces MixVisionTransformer. With
    ``backbone(x, with_attention=True)`` it also returns the attention logits
    of the blocks named by `attn_blocks`. No other logits are computed.

    Args:
        arch (str): 'b0' to 'b5'.
        attn_blocks (Sequence[tuple[int, int]]): (stage, block) pairs, from
            0. A negative block counts from the end of its stage. Default: the
            last two blocks of stage 4.
        strides (Sequence[int]): Strides of the patch embeddings. The last
            one, 1, keeps stage 4 on the 1/16 grid.
        drop_path_rate (float): Rate of stochastic depth.
        kwargs: Arguments of MixVisionTransformer.
    """

    def __init__(self,
                 arch: str = 'b1',
                 attn_blocks: Sequence[Tuple[int, int]] = ((3, -2), (3, -1)),
                 strides: Sequence[int] = (4, 2, 2, 1),
                 num_heads: Sequence[int] = (1, 2, 5, 8),
                 sr_ratios: Sequence[int] = (8, 4, 2, 1),
                 mlp_ratio: int = 4,
                 qkv_bias: bool = True,
                 drop_rate: float = 0.,
                 attn_drop_rate: float = 0.,
                 drop_path_rate: float = 0.1,
                 act_cfg: dict = dict(type='GELU'),
                 norm_cfg: dict = dict(type='LN', eps=1e-6),
                 with_cp: bool = False,
                 **kwargs) -> None:
        num_layers = ARCHS[arch]['num_layers']
        common = dict(
            drop_rate=drop_rate,
            attn_drop_rate=attn_drop_rate,
            qkv_bias=qkv_bias,
            act_cfg=act_cfg,
            norm_cfg=norm_cfg,
            with_cp=with_cp)
        super().__init__(
            num_heads=num_heads,
            strides=strides,
            sr_ratios=sr_ratios,
            mlp_ratio=mlp_ratio,
            drop_path_rate=drop_path_rate,
            **common,
            **ARCHS[arch],
            **kwargs)
        self.drop_path_rate = drop_path_rate
        for i, (patch_embed, _, _) in enumerate(self.layers):
            dims = self.embed_dims * num_heads[i]
            # the published weights use 1e-5 here, 1e-6 in the blocks' norms
            patch_embed.norm.eps = 1e-5
            self.layers[i][1] = ModuleList(
                LogitEncoderLayer(
                    dims,
                    num_heads[i],
                    mlp_ratio * dims,
                    sr_ratio=sr_ratios[i],
                    **common) for _ in range(num_layers[i]))
        self.attn_blocks = [(stage, range(num_layers[stage])[block])
                            for stage, block in attn_blocks]
        self._register_load_state_dict_pre_hook(self._accept_segformer)

    def init_weights(self) -> None:
        """Load or draw the weights that `init_cfg` names."""
        check_pretrained(self)
        super().init_weights()

    @staticmethod
    def _accept_segformer(state_dict: dict, prefix: str, *args) -> None:
        """Convert SegFormer's published weights while they are loaded."""
        own = [k for k in state_dict if k.startswith(prefix)]
        if f'{prefix}patch_embed1.proj.weight' in own:
            theirs = {k[len(prefix):]: state_dict.pop(k) for k in own}
            for k, value in segformer_to_mmseg(theirs).items():
                state_dict[prefix + k] = value

    def stochastic_depth(self,
                         x: Tensor) -> Iterator[Sequence[Optional[Tensor]]]:
        """Draw the factors (B, 1, 1) of the two branches of each block.

        A factor is 0 with the block's rate, which rises from 0 at the first
        block to `drop_path_rate` at the last. Otherwise it is 1 / (1 - rate).
        """
        if not self.training or not self.drop_path_rate:
            return repeat((None, None))
        depth = sum(len(blocks) for _, blocks, _ in self.layers)
        keep = torch.linspace(
            1, 1 - self.drop_path_rate, depth, device=x.device)
        keep = keep.repeat_interleave(2)[:, None, None, None]
        draws = torch.rand(2 * depth, len(x), 1, 1, device=x.device)
        factors = iter(((draws < keep) / keep).to(x.dtype).unbind())
        return zip(factors, factors)

    def forward(
        self,
        x: Tensor,
        with_attention: bool = False
    ) -> Union[Tuple[Tensor, ...], Tuple[Tuple[Tensor, ...],
                                         List[AttentionLogits]]]:
        """Extract features of images (B, 3, H, W) of any size.

        Returns:
            tuple[Tensor] or tuple[tuple[Tensor], list[AttentionLogits]]:
            Feature maps (B, C_i, ceil(H / s_i), ceil(W / s_i)). Then, if
            requested, the logits (B, heads, Nk, Nk) in the order of
            `attn_blocks`.
        """
        feats, logits = [], {}
        scales = None
        for i, (patch_embed, blocks, norm) in enumerate(self.layers):
            x, hw_shape = patch_embed(x)
            scales = scales or self.stochastic_depth(x)
            for j, block in enumerate(blocks):
                wanted = with_attention and (i, j) in self.attn_blocks
                x, block_logits = block(x, hw_shape, next(scales), wanted)
                if wanted:
                    logits[i, j] = block_logits
            x = to_map(norm(x), hw_shape)
            if i in self.out_indices:
                feats.append(x)
        if with_attention:
            return tuple(feats), [logits[block] for block in self.attn_blocks]
        return tuple(feats)
