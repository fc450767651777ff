# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Test on a GPU what a CPU cannot show."""
from unittest import mock

import pytest
import torch

from mmseg_afa.apis import AFAInferencer
from mmseg_afa.models import PAR, SOURCES
from mmseg_afa.models.refiners import par as par_module
from mmseg_afa.models.segmentors import afa as module
from tests.conftest import DEMO
from tests.test_models.test_afa import batch, build

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a GPU')


def gpu_batch():
    images, data = batch()
    for sample in data:
        sample.set_metainfo(dict(num_tags=int(sample.image_label.sum())))
    return images.cuda(), [sample.cuda() for sample in data]


def step(net, images, data, iteration, dtype=None):
    """Compute the losses of a training step and their gradients."""
    with mock.patch.object(module, 'current_iteration', lambda: iteration):
        with torch.autocast('cuda', dtype, enabled=dtype is not None):
            losses = net.loss(images, data)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    return losses


@pytest.mark.parametrize('iteration', [0, 500, 900])
def test_the_host_waits_for_nothing(iteration):
    net = build().cuda().train()
    step(net, *gpu_batch(), iteration)  # fills the caches
    images, data = gpu_batch()
    torch.cuda.set_sync_debug_mode('error')
    try:
        step(net, images, data, iteration)
    finally:
        torch.cuda.set_sync_debug_mode('default')


@pytest.mark.parametrize('dtype', [None, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('flat', [False, True])
def test_every_precision_stays_finite(dtype, flat):
    net = build().cuda().train()
    images, data = gpu_batch()
    images = torch.full_like(images, -2) if flat else images
    losses = step(net, images, data, 900, dtype)
    assert all(torch.isfinite(v) for v in losses.values())
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize('channels', [1, 5, 18])
def test_fused_par(channels, monkeypatch):
    torch.manual_seed(0)
    image = torch.rand(2, 3, 60, 70, device='cuda').mul(255).floor() / 255
    masks = torch.rand(2, channels, 60, 70, device='cuda')
    sizes = torch.tensor([[60, 70], [31, 8]], device='cuda')
    assert par_module.fused_par is not None
    fused = PAR()(image, masks, sizes)
    monkeypatch.setattr(par_module, 'fused_par', None)
    plain = PAR()(image, masks, sizes)
    for i, (height, width) in enumerate(sizes.tolist()):
        inside = (i, slice(None), slice(height), slice(width))
        torch.testing.assert_close(
            fused[inside], plain[inside], rtol=1e-4, atol=1e-4)


def test_same_losses_as_on_the_cpu():
    losses = []
    for device in ('cpu', 'cuda'):
        net = build(backbone=dict(drop_path_rate=0.)).to(device)
        net.decode_head.dropout = None
        images, data = batch()
        data = [sample.to(device) for sample in data]
        losses.append(step(net, images.to(device), data, 500))
    for key, value in losses[0].items():
        torch.testing.assert_close(
            losses[1][key].cpu(), value, rtol=1e-3, atol=1e-4)


def test_same_masks_as_on_the_cpu(checkpoint, photos):
    paths = sorted(map(str, photos.rglob('*.*')))
    infer = [
        AFAInferencer(
            str(DEMO),
            checkpoint,
            device=device,
            sources=list(SOURCES),
            refiner=dict(type='PAR', num_iter=2)) for device in ('cpu', 'cuda')
    ]
    for cpu, gpu in zip(*(one.stream(paths) for one in infer)):
        for source in SOURCES:
            same = (
                cpu.get(f'{source}_mask').data == gpu.get(
                    f'{source}_mask').data)
            assert same.float().mean() > 0.99
