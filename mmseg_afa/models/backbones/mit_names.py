# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Convert SegFormer's published parameter names to mmseg's names."""
import re
from typing import Dict

import torch
from torch import Tensor

# Names within stage i and block j
RENAMES = (
    (r'patch_embed(?P<i>\d)\.proj\.(.*)', r'layers.{i}.0.projection.\2'),
    (r'patch_embed(?P<i>\d)\.norm\.(.*)', r'layers.{i}.0.norm.\2'),
    (r'norm(?P<i>\d)\.(.*)', r'layers.{i}.2.\2'),
    (r'block(?P<i>\d)\.(\d+)\.attn\.proj\.(.*)',
     r'layers.{i}.1.\2.attn.attn.out_proj.\3'),
    (r'block(?P<i>\d)\.(\d+)\.mlp\.fc1\.(.*)',
     r'layers.{i}.1.\2.ffn.layers.0.\3'),
    (r'block(?P<i>\d)\.(\d+)\.mlp\.dwconv\.dwconv\.(.*)',
     r'layers.{i}.1.\2.ffn.layers.1.\3'),
    (r'block(?P<i>\d)\.(\d+)\.mlp\.fc2\.(.*)',
     r'layers.{i}.1.\2.ffn.layers.4.\3'),
    (r'block(?P<i>\d)\.(\d+)\.(.*)', r'layers.{i}.1.\2.\3'),
)


def rename(name: str) -> str:
    """Convert SegFormer's name of a parameter to mmseg's name."""
    for pattern, target in RENAMES:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(target.format(i=int(match['i']) - 1))
    raise KeyError(f'{name!r} is not a parameter of a Mix Transformer')


def segformer_to_mmseg(state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Convert the weights of a Mix Transformer to mmseg's names and shapes.

    Queries and keys/values become one projection. The linear layers of the
    feed-forward network become 1x1 convolutions. The classification layer
    (`head`) of ImageNet weights is dropped.

    Args:
        state_dict (dict[str, Tensor]): Weights by SegFormer's names, without
            a prefix.

    Returns:
        dict[str, Tensor]: Weights by the names of AttnMixVisionTransformer.

    Raises:
        KeyError: For a name that SegFormer's backbone does not have.
    """
    out = {}
    for name, value in state_dict.items():
        if name.startswith('head.') or '.attn.kv.' in name:
            continue
        if '.attn.q.' in name:
            value = torch.cat(
                [value, state_dict[name.replace('.attn.q.', '.attn.kv.')]])
            name = re.sub(r'\.q\.(\w+)$', r'.attn.in_proj_\1', name)
        target = rename(name)
        if re.search(r'ffn\.layers\.[04]\.weight$',
                     target) and value.ndim == 2:
            value = value[:, :, None, None]
        out[target] = value
    return out
