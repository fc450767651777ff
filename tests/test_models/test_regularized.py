# Copyright (c) mmseg_afa contributors. All rights reserved.
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.test_reference import reference as ref

LOSS_REG = dict(type='DenseEnergyLoss', loss_weight=1., weight=1e-4)


def build(type='RegularizedEncoderDecoder', decode=dict(), **kwargs):
    init_default_scope('mmseg')
    head = dict(
        type='FCNHead',
        in_channels=8,
        in_index=3,
        channels=8,
        dropout_ratio=0.,
        num_classes=3)
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type=type,
            data_preprocessor=dict(
                type='SegDataPreProcessor',
                mean=[127.5] * 3,
                std=[127.5] * 3,
                size=(64, 64)),
            backbone=dict(
                type='MixVisionTransformer',
                embed_dims=8,
                num_heads=[1, 1, 1, 1],
                num_layers=[1, 1, 1, 1],
                drop_path_rate=0.),
            decode_head={
                **head,
                **decode
            },
            auxiliary_head=dict(head, in_index=2),
            test_cfg=dict(mode='whole'),
            **kwargs))


def batch(model, size=(48, 64)):
    """Make a batch of mmseg's data preprocessor, padded to 64 x 64."""
    torch.manual_seed(1)
    samples = []
    for _ in range(2):
        sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        mask = torch.randint(0, 3, (1, *size))
        mask[..., 20:] = 255
        sample.gt_sem_seg = PixelData(data=mask)
        samples.append(sample)
    images = list(torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8))
    data = model.data_preprocessor(
        dict(inputs=images, data_samples=samples), True)
    return data['inputs'], data['data_samples']


def test_other_losses_equal_mmseg():
    plain, without = build('EncoderDecoder'), build()
    regularized = build(loss_reg=LOSS_REG)
    expected = plain.loss(*batch(plain))
    assert set(expected) == {
        'decode.loss_ce', 'decode.acc_seg', 'aux.loss_ce', 'aux.acc_seg'
    }
    found = regularized.loss(*batch(regularized))
    assert found.pop('decode.loss_reg') < 0
    for losses in (found, without.loss(*batch(without))):
        assert set(losses) == set(expected)
        for name, value in expected.items():
            ref.assert_close(losses[name], value, rtol=1e-6)


def test_pixels_without_a_label_learn():
    """The energy trains pixels that the label ignores."""
    model = build(loss_reg=LOSS_REG)
    inputs, samples = batch(model)
    for sample in samples:
        sample.gt_sem_seg.data.fill_(255)
    losses = model.loss(inputs, samples)
    assert losses['decode.loss_ce'] == losses['aux.loss_ce'] == 0
    model.parse_losses(losses)[0].backward()
    assert model.decode_head.conv_seg.weight.grad.any()
    assert model.backbone.layers[0][0].projection.weight.grad.any()


def test_loss_sees_the_image_in_grey_levels(monkeypatch):
    """The loss gets the image at the label's size, without the padding."""
    model = build(loss_reg=LOSS_REG)
    inputs, samples = batch(model)
    seen = []
    inner = model.loss_reg.forward
    monkeypatch.setattr(model.loss_reg, 'forward',
                        lambda *args: seen.extend(args) or inner(*args))
    model.loss(inputs, samples)
    logits, label, image, region, ignore_index = seen
    assert logits.shape == (2, 3, 64, 64) and label.shape == (2, 64, 64)
    assert ignore_index == 255
    raw = (inputs * 127.5 + 127.5).clamp(0, 255)
    ref.assert_close(image, raw / 255, rtol=1.01 / 255)
    assert region[:, :48].all() and not region[:, 48:].any()


def test_losses_of_one_name_add_up():
    apart = build(loss_reg=LOSS_REG)
    together = build(loss_reg=dict(LOSS_REG, loss_name='loss_ce'))
    expected = apart.loss(*batch(apart))
    found = together.loss(*batch(together))
    ref.assert_close(found['decode.loss_ce'],
                     expected['decode.loss_ce'] + expected['decode.loss_reg'])


def test_aligned_corners(monkeypatch):
    """The energy sees the logits as the decode head resizes them."""
    model = build(loss_reg=LOSS_REG, decode=dict(align_corners=True))
    seen = []
    monkeypatch.setattr(model.loss_reg, 'forward',
                        lambda *args: seen.extend(args) or args[0].sum())
    logits = torch.randn(1, 3, 4, 4)
    box = torch.tensor([[0, 8, 0, 8]])
    model.regularize(logits, None, torch.zeros(1, 3, 8, 8), box)
    assert torch.equal(seen[0][..., ::7, ::7], logits[..., ::3, ::3])
