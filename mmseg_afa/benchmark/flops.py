# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What torch's FLOP counter takes for granted or leaves out."""
from math import prod
from typing import Sequence

import torch
from torch.utils.flop_counter import (FlopCounterMode,
                                      sdpa_backward_flop_count,
                                      sdpa_flop_count)

aten = torch.ops.aten


def conv_backward_flops(grad_shape: Sequence[int], x_shape: Sequence[int],
                        weight_shape: Sequence[int], bias, stride, padding,
                        dilation, transposed, output_padding, groups,
                        output_mask: Sequence[bool], **kwargs) -> int:
    """As many as forward for each of the two gradients that is asked for.

    (torch counts the gradient of a depth-wise convolution's weight as that of
    a full one: C times too many.)
    """
    forward = 2 * prod(grad_shape) * prod(weight_shape[1:])
    return forward * (output_mask[0] + output_mask[1])


def attention_flops(query_shape, key_shape, value_shape, *args,
                    **kwargs) -> int:
    """Of scaled_dot_product_attention, (..., N, d) shapes."""
    return sdpa_flop_count(query_shape, key_shape, value_shape)


def attention_backward_flops(grad_shape, query_shape, key_shape, value_shape,
                             *args, **kwargs) -> int:
    """Of its gradient."""
    return sdpa_backward_flop_count(grad_shape, query_shape, key_shape,
                                    value_shape)


def flop_counter() -> FlopCounterMode:
    """A counter that is right about depth-wise convolutions, and about
    attention on the CPU."""
    return FlopCounterMode(
        display=False,
        custom_mapping={
            aten.convolution_backward:
            conv_backward_flops,
            aten._scaled_dot_product_flash_attention_for_cpu:
            attention_flops,
            aten._scaled_dot_product_flash_attention_for_cpu_backward:
            attention_backward_flops,
        })
