# Copyright (c) mmseg_afa contributors. All rights reserved.
import platform
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import nn

from mmseg_afa.engine import (BFloat16OptimWrapper, CPUDistributedDataParallel,
                              cpu)
from mmseg_afa.models.segmentors import afa as module
from mmseg_afa.models.utils import AttentionLogits
from tests.test_models.test_afa import batch, build


class Net(BaseModel):

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = self.layer(inputs)
        self.dtype = out.dtype
        return dict(loss=out.float().sum())


def test_step():
    """Multiply in bfloat16; keep weights and gradients in float32."""
    net = Net()
    before = net.layer.weight.detach().clone()
    wrapper = BFloat16OptimWrapper(
        torch.optim.SGD(net.parameters(), 0.1), clip_grad=dict(max_norm=0.1))
    net.train_step(dict(inputs=torch.ones(2, 3)), wrapper)
    assert net.dtype == torch.bfloat16
    assert net.layer.weight.dtype == torch.float32
    assert not torch.equal(net.layer.weight, before)
    assert not torch.is_autocast_enabled('cpu')
    # The state of a run with --amp float16 fits, too.
    wrapper.load_state_dict(dict(wrapper.state_dict(), loss_scaler={}))


@pytest.mark.parametrize(
    'machine, avx512_bf16, expected',
    [
        ('x86_64', True, True),
        ('AMD64', False, False),  # oneDNN emulates it by AVX-512
        ('aarch64', False, True),
    ])
def test_cpu_has_bfloat16(monkeypatch, machine, avx512_bf16, expected):
    assert cpu.cpu_has_bfloat16() in (True, False)  # torch's functions exist
    mkldnn = SimpleNamespace(_is_mkldnn_bf16_supported=lambda: True)
    monkeypatch.setattr(torch.ops, 'mkldnn', mkldnn)
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: True)
    monkeypatch.setattr(platform, 'machine', lambda: machine)
    monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported',
                        lambda: avx512_bf16)
    assert cpu.cpu_has_bfloat16() == expected


def gradients(wrapper, iteration):
    """Compute the gradients of a step as one vector.

    The step draws no random numbers: bfloat16 would draw others.
    """
    net = build(
        backbone=dict(drop_path_rate=0.), decode_head=dict(dropout_ratio=0.))
    wrapper = wrapper(torch.optim.SGD(net.parameters(), 0.))
    samples = batch()
    with mock.patch.object(module, 'current_iteration', lambda: iteration), \
            wrapper.optim_context(net):
        loss, _ = net.parse_losses(net.loss(*samples))
    loss.backward()
    return torch.cat([p.grad.flatten() for p in net.parameters()])


@pytest.mark.parametrize('iteration', [0, 900])
def test_gradients_are_near_those_of_float32(iteration):
    whole = gradients(OptimWrapper, iteration)
    half = gradients(BFloat16OptimWrapper, iteration)
    assert torch.isfinite(half).all()
    assert torch.cosine_similarity(whole, half, 0) > 0.95
    assert half.norm() == pytest.approx(whole.norm().item(), rel=0.1)


@pytest.fixture
def attentions():
    return [AttentionLogits(*torch.randn(2, 2, 8, 12, 32)) for _ in range(2)]


def test_labels_are_made_in_float32(attentions):
    """Compute affinity, random walk and PAR as without autocast."""
    net = build()
    inputs, samples = batch()
    cam = torch.randn(2, 5, 3, 4).bfloat16()
    net.raw_cams = lambda *args: ([(cam, cam)] * 3,
                                  net.affinity_head(attentions))
    net.loss_by_label = lambda *args: args[-1]
    with mock.patch.object(module, 'current_iteration', lambda: 900):
        whole = net.loss(inputs, samples)
        with torch.autocast('cpu', torch.bfloat16):
            half = net.loss(inputs, samples)
    assert torch.equal(half.seg, whole.seg)
    assert torch.equal(half.affinity, whole.affinity)


def test_affinity_and_losses_are_computed_in_float32(attentions):
    net = build()
    logits = torch.randn(2, 6, 12, 16)
    label = torch.randint(6, (2, 48, 64))
    pairs = net.labeler.affinity_label(label, (3, 4))

    def losses():
        affinity = net.affinity_head(attentions)
        return {
            'affinity': affinity.mean(),
            **net.affinity_head.loss(affinity, pairs),
            **net.decode_head.loss_by_label(logits, label)
        }

    whole = losses()
    with torch.autocast('cpu', torch.bfloat16):
        half = losses()
    assert {v.dtype for v in half.values()} == {torch.float32}
    assert half == whole


def test_sync_bn_becomes_bn():
    net = Net()
    net.norm = nn.SyncBatchNorm(2)
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = CPUDistributedDataParallel(net, device_ids=[0])
        out = model.module.norm(torch.rand(8, 2, 3, 3))
        assert out.mean().abs() < 1e-6
    finally:
        torch.distributed.destroy_process_group()
