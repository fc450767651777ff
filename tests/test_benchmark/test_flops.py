# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F

from mmseg_afa.benchmark.flops import flop_counter


@pytest.mark.parametrize('groups', [1, 6])
@pytest.mark.parametrize('first_layer', [True, False])
def test_convolution(groups, first_layer):
    conv = torch.nn.Conv2d(6, 6, 3, padding=1, groups=groups)
    image = torch.randn(2, 6, 5, 4, requires_grad=not first_layer)
    with flop_counter() as counter:
        conv(image).sum().backward()
    forward = 2 * 2 * 5 * 4 * 6 * 6 // groups * 9
    assert counter.get_total_flops() == forward * (2 if first_layer else 3)


def test_attention():
    query, key, value = torch.randn(3, 2, 4, 7, 8, requires_grad=True)
    with flop_counter() as counter:
        out = F.scaled_dot_product_attention(query, key, value)
    forward = 2 * (2 * 2 * 4 * 7 * 7 * 8)
    assert counter.get_total_flops() == forward
    with flop_counter() as counter:
        out.sum().backward()
    # four products, and the logits once more
    assert counter.get_total_flops() == forward * 5 // 2
