# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_afa.models import AFAHead, WSSSHead
from mmseg_afa.models.utils import AttentionLogits
from mmseg_afa.utils import UserError
from tests.test_reference import reference as ref


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


def wsss_head(**kwargs):
    return WSSSHead(
        **{
            **dict(
                in_channels=[8, 16],
                in_index=[0, 1],
                channels=4,
                num_classes=4,
                norm_cfg=dict(type='BN')),
            **kwargs
        })


def feats(batch=2):
    torch.manual_seed(0)
    return torch.randn(batch, 8, 8, 6), torch.randn(batch, 16, 4, 3)


@pytest.mark.parametrize('pooling', ['gmp', 'gap'])
def test_cam_is_the_classifier_unpooled(pooling):
    head = wsss_head(pooling=pooling)
    cam, logits = head.cam(feats()), head.image_logits(feats())
    assert cam.shape == (2, 3, 4, 3) and logits.shape == (2, 3)
    assert head.classifier.bias is None
    last = feats()[1]
    pooled = last.amax((2, 3)) if pooling == 'gmp' else last.mean((2, 3))
    weight = head.classifier.weight[:, :, 0, 0]
    ref.assert_close(cam, torch.einsum('kc,bchw->bkhw', weight, last))
    ref.assert_close(logits, pooled @ weight.T, rtol=1e-5)


def samples(image_label=True, mask=True):
    out = []
    for i in range(2):
        sample = SegDataSample()
        if image_label:
            sample.set_field(torch.eye(3)[i], 'image_label')
        if mask:
            label = torch.randint(0, 4, (1, 32, 24))
            sample.gt_sem_seg = PixelData(data=label)
        out.append(sample)
    return out


@pytest.mark.parametrize('image_label, mask, names', [
    (True, False, {'loss_cls'}),
    (False, True, {'loss_seg', 'acc_seg'}),
    (True, True, {'loss_cls', 'loss_seg', 'acc_seg'}),
])
def test_loss_by_what_there_is(image_label, mask, names):
    head = wsss_head()
    losses = head.loss(feats(), samples(image_label, mask), None)
    assert set(losses) == names
    assert all(torch.isfinite(v).all() for v in losses.values())
    # distributed training waits for a gradient of every parameter
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert [k for k, p in head.named_parameters() if p.grad is None] == []


def test_losses_of_one_name_add_up():
    """As in mmseg; also a loss of the image labels."""
    ce = dict(type='CrossEntropyLoss')
    label = torch.randint(0, 4, (2, 32, 24))
    logits = torch.randn(2, 4, 8, 6)
    one = wsss_head(loss_decode=ce).loss_by_label(logits, label)
    two = wsss_head(loss_decode=[ce, ce]).loss_by_label(logits, label)
    ref.assert_close(two['loss_ce'], 2 * one['loss_ce'])
    head = wsss_head(loss_decode=dict(ce, loss_name='loss_cls'))
    expected = head.loss(feats(), samples(mask=False), None)['loss_cls']
    masks = samples()
    for sample in masks:
        sample.gt_sem_seg.data.fill_(255)
    assert head.loss(feats(), masks, None)['loss_cls'] == expected


@pytest.mark.parametrize('thresh', [None, 0.2])
@pytest.mark.parametrize('loss', ['CrossEntropyLoss', 'BalancedSegLoss'])
def test_pixel_sampler(thresh, loss):
    """As in mmseg: only hard pixels train."""
    torch.manual_seed(0)
    head = wsss_head(
        loss_decode=dict(type=loss),
        sampler=dict(type='OHEMPixelSampler', thresh=thresh, min_kept=5))
    logits = torch.randn(2, 4, 32, 24, requires_grad=True)
    masks = samples()
    for sample in masks:
        sample.gt_sem_seg.data[:, :9] = 255
    label = torch.cat([sample.gt_sem_seg.data for sample in masks])
    found, = head.loss_by_label(logits, label).values()
    expected = head.loss_by_feat(logits, masks)
    ref.assert_close(found, next(iter(expected.values())))
    found.backward()
    trained = logits.grad.any(1)
    assert not trained[:, :9].any()
    assert 0 < trained.float().mean() < 0.4


def test_one_output_under_masks():
    """The head of mmseg's binary segmentation, in an EncoderDecoder."""
    head = wsss_head(
        num_classes=2,
        out_channels=1,
        threshold=0.4,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
    masks = samples(image_label=False)
    for sample in masks:
        sample.gt_sem_seg.data.clamp_(max=1)
    assert head.loss(feats(), masks, None)['loss_ce'] > 0


@pytest.mark.parametrize('setting, found', [
    (dict(conv_cfg=dict(type='DCN')), "conv_cfg .* found .*'DCN'"),
    (dict(input_transform='resize_concat'), "found 'resize_concat'"),
])
def test_settings_of_other_heads(setting, found):
    with pytest.raises(UserError, match=f'{found}.* Remove it'):
        wsss_head(**setting)


def test_no_label_at_all():
    with pytest.raises(ValueError, match='PackWeakSegInputs'):
        wsss_head().loss(feats(), samples(False, False), None)


@pytest.mark.parametrize('norm_cfg', [dict(type='BN'), None])
def test_segmentation_is_the_fusion_of_the_resized_levels(norm_cfg):
    head = wsss_head(norm_cfg=norm_cfg).eval()
    levels = [
        torch.nn.functional.interpolate(conv(x), (8, 6), mode='bilinear')
        for conv, x in zip(head.convs, feats())
    ]
    fused = head.fusion_conv(torch.cat(levels[::-1], 1))
    logits = head(feats())
    assert logits.shape == (2, 4, 8, 6)  # the finest grid
    ref.assert_close(logits, head.cls_seg(fused), rtol=1e-5)


def test_afa_head():
    """Apply a 1x1 convolution with bias and a sigmoid to A + A^T."""
    torch.manual_seed(0)
    head = AFAHead(in_channels=6)
    head.init_weights()
    attentions = [torch.randn(2, 3, 5, 5) for _ in range(2)]
    stacked = torch.cat(attentions, 1)
    expected = head.proj(stacked + stacked.transpose(2, 3))[:, 0].sigmoid()
    affinity = head(attentions)
    ref.assert_close(affinity, expected, rtol=1e-5)
    ref.assert_close(affinity, affinity.transpose(1, 2), rtol=1e-6)


def test_afa_head_takes_factors_of_the_logits():
    torch.manual_seed(0)
    head = AFAHead(in_channels=6)
    head.init_weights()
    attentions = [AttentionLogits(*torch.randn(2, 2, 3, 5, 4))] * 2
    affinity = head(attentions)
    ref.assert_close(affinity, head([a.full() for a in attentions]), rtol=1e-5)
    with torch.autocast('cpu', torch.bfloat16):
        half = head([AttentionLogits(*a) for a in attentions])
    assert half.dtype == torch.float32
    ref.assert_close(half, affinity, rtol=1e-6)


def test_afa_head_initialisation():
    """Kaiming-normal with a = sqrt(5) and a fan-out of 1."""
    torch.manual_seed(0)
    weights = []
    for _ in range(100):
        head = AFAHead()
        head.init_weights()
        weights.append(head.proj.weight.flatten())
    std = torch.cat(weights).std().item()
    assert std == pytest.approx((2 / (1 + 5))**0.5, rel=0.05)


def test_afa_head_channels():
    with pytest.raises(
            ValueError, match='in_channels is 16, but the backbone '
            'returns 8'):
        AFAHead()([torch.randn(1, 8, 4, 4)])
