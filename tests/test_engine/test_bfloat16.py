# Copyright (c) mmseg_afa contributors. All rights reserved.
import platform
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import nn

from mmseg_afa.engine import BFloat16OptimWrapper, bfloat16
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


@pytest.mark.parametrize('counts', [1, 2])
def test_step(counts):
    """Products are bfloat16, weights and gradients float32, and the
    settings of OptimWrapper work."""
    net = Net()
    before = net.layer.weight.detach().clone()
    wrapper = BFloat16OptimWrapper(
        torch.optim.SGD(net.parameters(), 0.1),
        accumulative_counts=counts,
        clip_grad=dict(max_norm=0.1))
    wrapper.initialize_count_status(net, 0, 4)
    net.train_step(dict(inputs=torch.ones(2, 3)), wrapper)
    assert net.dtype == torch.bfloat16
    assert net.layer.weight.dtype == torch.float32
    assert torch.equal(net.layer.weight, before) == (counts == 2)
    assert not torch.is_autocast_enabled('cpu')


def test_resumes_what_began_on_a_gpu():
    """There mmengine's AmpOptimWrapper keeps the scale of the loss."""
    net = Net()
    wrapper = BFloat16OptimWrapper(torch.optim.Adam(net.parameters()))
    wrapper.load_state_dict(dict(wrapper.state_dict(), loss_scaler={}))


@pytest.mark.parametrize(
    'machine, mkldnn, avx512_bf16, expected',
    [
        ('x86_64', True, True, True),
        ('AMD64', True, False, False),  # oneDNN emulates it by AVX-512
        ('x86_64', False, True, False),
        ('aarch64', True, False, True),
    ])
def test_cpu_has_bfloat16(monkeypatch, machine, mkldnn, avx512_bf16, expected):
    monkeypatch.setattr(platform, 'machine', lambda: machine)
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: mkldnn)
    monkeypatch.setattr(
        torch.ops, 'mkldnn',
        SimpleNamespace(_is_mkldnn_bf16_supported=lambda: mkldnn))
    monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported',
                        lambda: avx512_bf16)
    assert bfloat16.cpu_has_bfloat16() == expected


def test_torch_tells_what_the_cpu_has():
    """The functions are torch's private ones: are they there?"""
    assert bfloat16.cpu_has_bfloat16() in (True, False)


def gradients(wrapper, iteration):
    """Those of a training step, all in one vector. It draws no random
    numbers: those of bfloat16 are others."""
    net = build(
        backbone=dict(drop_path_rate=0.), decode_head=dict(dropout_ratio=0.))
    wrapper = wrapper(torch.optim.SGD(net.parameters(), 0.))
    samples = batch()
    with mock.patch.object(module, 'current_iteration', lambda: iteration), \
            wrapper.optim_context(net):
        loss, _ = net.parse_losses(net.loss(*samples))
    loss.backward()
    # no weight lacks one, though the label passes run without, before
    return torch.cat([p.grad.flatten() for p in net.parameters()])


@pytest.mark.parametrize('iteration', [0, 500, 900])
def test_gradients_are_about_those_of_float32(iteration):
    whole = gradients(OptimWrapper, iteration)
    half = gradients(BFloat16OptimWrapper, iteration)
    assert torch.isfinite(half).all()
    assert torch.cosine_similarity(whole, half, 0) > 0.95
    assert half.norm() == pytest.approx(whole.norm().item(), rel=0.1)


@pytest.fixture(params=['factors', 'logits'])
def attentions(request):
    logits = [AttentionLogits(*torch.randn(2, 2, 8, 12, 32)) for _ in range(2)]
    if request.param == 'logits':
        return [x.full() for x in logits]
    return logits


def test_labels_are_made_in_float32(attentions):
    """All that follows the network's passes: affinity, random walk, PAR."""
    net = build()
    inputs, samples = batch()
    net.cam_and_affinity = lambda images, num: (cam, num and net.affinity_head(
        attentions))
    net.loss_by_label = lambda *args: args[-1]
    cam = torch.randn(2, 5, 3, 4).bfloat16()
    with mock.patch.object(module, 'current_iteration', lambda: 900):
        whole = net.loss(inputs, samples)
        with torch.autocast('cpu', torch.bfloat16):
            half = net.loss(inputs, samples)
    assert torch.equal(half.seg, whole.seg)
    assert torch.equal(half.affinity, whole.affinity)


def test_affinity_and_losses_are_computed_in_float32(attentions):
    """From the same logits the same, bit for bit."""
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
