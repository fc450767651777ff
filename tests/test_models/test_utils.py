# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from torch import nn

from mmseg_afa.models.utils import (denormalize, evaluating, unpad,
                                    zero_gradients)


def test_unpad():
    """Padding and flip are undone."""
    maps = torch.zeros(1, 1, 8, 12)
    maps[..., 4:6, 2] = 1  # second column of a flipped 4 x 6 image
    meta = dict(
        img_padding_size=(1, 5, 4, 0), flip=True, flip_direction='horizontal')
    out = unpad(maps, meta)
    assert out.shape == (1, 1, 4, 6)
    assert out[0, 0, :2, 4].tolist() == [1, 1] and out.sum() == 2


def test_denormalize():
    pre = ImgDataPreprocessor(mean=[1, 2, 3], std=[50, 51, 52])
    images = torch.randint(0, 256, (2, 3, 9, 9)).float()
    out = denormalize((images - pre.mean) / pre.std + 1e-4, pre)
    assert torch.equal(out, images / 255)
    plain = denormalize(images + 0.9, ImgDataPreprocessor())
    assert torch.equal(plain, images / 255)


def test_evaluating():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    net[1].eval()
    with pytest.raises(ZeroDivisionError), evaluating(net):
        assert not any(m.training for m in net.modules())
        1 / 0
    assert [m.training for m in net.modules()] == [True, True, False, False]


def test_zero_gradients():
    layer = nn.Linear(2, 3)
    zero_gradients(layer.parameters()).backward()
    assert all((p.grad == 0).all() for p in layer.parameters())
