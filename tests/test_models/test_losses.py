# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F

from mmseg_afa.models import (AffinityLoss, BalancedSegLoss, DenseEnergyLoss,
                              MultiLabelSoftMarginLoss)
from mmseg_afa.models.losses.dense_energy_loss import bilateral_filter
from tests.test_reference import reference as ref


def test_affinity_loss():
    affinity = torch.tensor([[[0.9, 0.2], [0.6, 0.3]]])
    label = torch.tensor([[[1, 0], [255, 0]]])
    expected = 0.5 * ((1 - 0.9) / (1 + 1) + (0.2 + 0.3) / (2 + 1))
    ref.assert_close(
        AffinityLoss(loss_weight=1.)(affinity, label), torch.tensor(expected))
    ignored = AffinityLoss()(affinity, torch.full_like(label, 255))
    assert ignored == 0


def test_balanced_seg_loss():
    logits = torch.randn(1, 3, 1, 4, requires_grad=True)
    label = torch.tensor([[[0, 1, 2, 255]]])
    each = F.cross_entropy(logits, label, reduction='none', ignore_index=255)
    expected = 0.5 * each[0, 0, 0] + 0.5 * each[0, 0, 1:3].mean()
    ref.assert_close(BalancedSegLoss(loss_weight=1.)(logits, label), expected)


@pytest.mark.parametrize('value', [0, 1, 255])
def test_one_sided_labels(value):
    """A side without pixels adds 0, not NaN as in the published code."""
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    label = torch.full((1, 4, 4), value)
    loss = BalancedSegLoss(loss_weight=1.)(logits, label)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    expected = 0. if value == 255 else F.cross_entropy(logits, label) / 2
    ref.assert_close(loss + 1, torch.as_tensor(expected) + 1)


def test_multi_label_loss():
    logits, label = torch.randn(3, 4), torch.randint(0, 2, (3, 4)).float()
    ref.assert_close(
        MultiLabelSoftMarginLoss(loss_weight=2.)(logits, label),
        2 * F.binary_cross_entropy_with_logits(logits, label))


def test_bilateral_filter():
    """Approximate the sum over all pairs of pixels."""
    generator = torch.Generator().manual_seed(0)
    rows, cols = torch.meshgrid(
        torch.arange(24.), torch.arange(24.), indexing='ij')
    colour = 3 * (rows > 10).float() + 0.2 * torch.rand(
        24, 24, generator=generator)
    features = torch.stack([rows / 6, cols / 6, colour], -1).view(-1, 3)
    values = torch.rand(576, 2, generator=generator)
    exact = (-0.5 * torch.cdist(features, features)**2).exp() @ values
    error = (bilateral_filter(values, features) - exact).abs().mean()
    assert error < 0.1 * exact.mean()


def test_dense_energy_follows_the_image():
    loss = DenseEnergyLoss(loss_weight=1., weight=1e-3, sigma_xy=20.)
    image = torch.zeros(1, 3, 32, 32)
    image[..., 16:] = 1
    label = torch.full((1, 32, 32), 255)
    logits = torch.zeros(1, 2, 32, 32)
    logits[:, 1, :, 16:], logits[:, 0, :, :16] = 4, 4
    along = loss(logits, label, image)
    across = loss(logits.transpose(2, 3), label, image)
    assert along < across < 0


def test_dense_energy_gradient():
    """The gradient is that of the energy with a fixed gate."""
    loss = DenseEnergyLoss(loss_weight=1., weight=1e-3, sigma_xy=20.)
    image = torch.zeros(1, 3, 32, 32)
    image[..., 16:] = 1
    label = torch.full((1, 32, 32), 255)
    logits = torch.randn(1, 2, 32, 32, requires_grad=True)
    loss(logits, label, image).backward()
    assert torch.isfinite(logits.grad).all()
    # a smaller step would drown in the rounding of a loss of 20
    step = 0.1 * logits.grad / logits.grad.norm()
    with torch.no_grad():
        change = loss(logits + step, label, image) - loss(
            logits - step, label, image)
    ref.assert_close(change, 2 * 0.1 * logits.grad.norm(), rtol=1e-2)


def test_dense_energy_region():
    loss = DenseEnergyLoss(loss_weight=1., weight=1.)
    nothing = torch.zeros(1, 16, 16, dtype=torch.bool)
    logits = torch.randn(1, 3, 16, 16)
    image = torch.rand(1, 3, 16, 16)
    label = torch.zeros(1, 16, 16, dtype=torch.int64)
    assert loss(logits, label, image, nothing) == 0
    assert loss(logits, label, image, ~nothing) < 0
