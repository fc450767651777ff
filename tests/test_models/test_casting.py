# Copyright (c) mmseg_afa contributors. All rights reserved.
from contextlib import nullcontext
from unittest import mock

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmseg_afa.models.segmentors import afa as module
from mmseg_afa.models.utils import cast_weights
from tests.test_models.test_afa import batch, build


class Casts(TorchDispatchMode):
    """Count the casts of single tensors."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._to_copy.default
        return func(*args, **(kwargs or {}))


def gradients(with_cp=False):
    """Compute the gradients of a step with refined labels, and count casts."""
    torch.manual_seed(0)
    net = build(backbone=dict(with_cp=with_cp))
    inputs, samples = batch()
    with mock.patch.object(module, 'current_iteration', lambda: 900):
        with torch.autocast('cpu', torch.bfloat16), Casts() as casts:
            loss, _ = net.parse_losses(net.loss(inputs, samples))
    loss.backward()
    return {name: p.grad for name, p in net.named_parameters()}, casts.count


@pytest.mark.parametrize('with_cp', [False, True])
def test_gradients_are_those_of_autocast(with_cp, monkeypatch):
    own, casts = gradients(with_cp)
    monkeypatch.setattr(module, 'cast_weights',
                        lambda *networks: nullcontext())
    expected, more_casts = gradients()
    assert casts < more_casts / 2
    for name, value in expected.items():
        assert own[name].dtype == torch.float32
        assert torch.equal(own[name], value), name


def test_weights_are_restored():
    net = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    weights = dict(net.named_parameters())
    with pytest.raises(KeyError), torch.autocast('cpu', torch.bfloat16):
        with cast_weights(net):
            assert net[0].weight.dtype == net[0].bias.dtype == torch.bfloat16
            assert net[1].weight.dtype == torch.float32
            raise KeyError
    assert all(p is weights[name] for name, p in net.named_parameters())


def test_float32_needs_no_cast():
    net = nn.Linear(2, 2)
    with cast_weights(net):
        assert net.weight.dtype == torch.float32


def test_float16():
    net = nn.Conv2d(1, 1, 1)
    with torch.autocast('cpu', torch.float16), cast_weights(net):
        assert net.weight.dtype == torch.float16
        net(torch.ones(1, 1, 1, 1)).float().sum().backward()
    assert net.weight.grad.item() == 1.
