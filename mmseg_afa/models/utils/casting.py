# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Cast the weights of networks once a step under autocast."""
from contextlib import contextmanager
from typing import Iterator, List, Optional, Tuple

import torch
from torch import Tensor, nn

# layers that autocast runs in the lower precision
CAST_LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.MultiheadAttention)
CHUNK = 32  # weights in one kernel; DDP averages the gradients of each chunk


class Cast(torch.autograd.Function):
    """Cast a list of weights in one kernel, and their gradients in another."""

    @staticmethod
    def forward(ctx, dtype: torch.dtype, *weights: Tensor) -> Tuple:
        """Cast the weights."""
        ctx.set_materialize_grads(False)
        return tuple(copy_as(dtype, weights))

    @staticmethod
    def backward(ctx, *grads: Optional[Tensor]) -> Tuple:
        """Cast the gradients of those weights that have one to float32."""
        found = iter(
            copy_as(torch.float32, [g for g in grads if g is not None]))
        return None, *(g if g is None else next(found) for g in grads)


def copy_as(dtype: torch.dtype, tensors: List[Tensor]) -> List[Tensor]:
    """Copy tensors to a type."""
    out = [torch.empty_like(x, dtype=dtype) for x in tensors]
    torch._foreach_copy_(out, tensors)
    return out


@contextmanager
def cast_weights(*networks: nn.Module) -> Iterator[None]:
    """Cast the float32 weights of networks once for all passes of a block.

    Without autocast the block runs as it is. Autocast itself would cast each
    weight again in every pass without gradients. Values and gradients are
    those of autocast.
    """
    device = next(networks[0].parameters()).device.type
    if not torch.is_autocast_enabled(device):
        yield
        return
    owners = [(layer, name, weight) for network in networks
              for layer in network.modules() if isinstance(layer, CAST_LAYERS)
              for name, weight in layer.named_parameters(recurse=False)
              if weight.dtype == torch.float32]
    dtype = torch.get_autocast_dtype(device)
    try:
        for i in range(0, len(owners), CHUNK):
            layers, names, weights = zip(*owners[i:i + CHUNK])
            for layer, name, cast in zip(layers, names,
                                         Cast.apply(dtype, *weights)):
                layer._parameters[name] = cast
        yield
    finally:
        for layer, name, weight in owners:
            layer._parameters[name] = weight
