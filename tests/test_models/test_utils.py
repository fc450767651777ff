# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_afa.models.utils import (denormalize, evaluating, most_classes,
                                    stack_boxes, stack_image_labels, unpad)
from mmseg_afa.utils import UserError


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


@pytest.mark.parametrize('meta, expected', [
    (dict(img_box=(4, 30, 2, 20), img_shape=(32, 40)), [4, 30, 2, 20]),
    (dict(img_shape=(32, 40, 3)), [0, 32, 0, 40]),
    (dict(), [0, 64, 0, 64]),
])
def test_boxes(meta, expected):
    boxes = stack_boxes([SegDataSample(metainfo=meta)],
                        torch.zeros(1, 3, 64, 64))
    assert boxes.tolist() == [expected]


def samples(*labels):
    out = []
    for i, label in enumerate(labels):
        sample = SegDataSample(metainfo=dict(img_path=f'{i}.jpg'))
        if label is not None:
            sample.set_field(torch.tensor(label), 'image_label', dtype=None)
        out.append(sample)
    return out


@pytest.mark.parametrize('label, number', [(None, 0), ([1., 0.], 2)])
def test_wrong_image_labels(label, number):
    with pytest.raises(
            UserError, match=f'1.jpg has {number} classes, the model has 3'):
        stack_image_labels(samples([0., 1., 1.], label), 3)


@pytest.mark.parametrize('counts, most', [([1, 3, 2], 3), ([1, None], None)])
def test_most_classes(counts, most):
    metas = [dict(num_tags=n) if n else dict() for n in counts]
    assert most_classes([SegDataSample(metainfo=m) for m in metas]) == most
