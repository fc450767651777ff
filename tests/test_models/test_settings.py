# Copyright (c) mmseg_afa contributors. All rights reserved.
"""A setting of mmseg's classes works in AFA, or the constructor refuses."""
import pytest
import torch
import torch.nn.functional as F

from mmseg_afa.models.segmentors.settings import (check_seg_losses,
                                                  complete_test_cfg)
from mmseg_afa.utils import UserError
from tests.test_models.test_afa import build, loss_at
from tests.test_models.test_heads import scope, wsss_head  # noqa: F401
from tests.test_models.test_regularized import LOSS_REG
from tests.test_models.test_regularized import build as regularized

WEIGHTS = [1., 2., 3., 1., 1., 1.]
CE = 'CrossEntropyLoss'


def loss(kind, **kwargs):
    return dict(loss_decode=dict(_delete_=True, type=kind, **kwargs))


def refused(**model) -> str:
    with pytest.raises(UserError) as error:
        build(**model)
    return str(error.value)


@pytest.mark.parametrize('kind, kwargs', [
    ('BalancedSegLoss', {}),
    (CE, {}),
    (CE, dict(avg_non_ignore=True)),
    (CE, dict(reduction='none')),
    (CE, dict(reduction='sum', class_weight=WEIGHTS)),
    (CE, dict(use_sigmoid=True)),
    ('LovaszLoss', dict(reduction='none', class_weight=WEIGHTS)),
    ('TverskyLoss', dict(class_weight=WEIGHTS)),
])
def test_losses_that_leave_out_ignored_pixels(kind, kwargs):
    net = build(decode_head=loss(kind, **kwargs))
    losses = loss_at(net, 900)
    assert losses['label.ignored'] > 0
    net.parse_losses(losses)[0].backward()
    assert net.decode_head.conv_seg.weight.grad.any()


@pytest.mark.parametrize('kind, kwargs, reason', [
    (CE, dict(class_weight=WEIGHTS), 'index 255 is out of bounds'),
    (CE, dict(class_weight=WEIGHTS[:2], reduction='sum'), 'weight tensor'),
    (CE, dict(use_sigmoid=True, class_weight=WEIGHTS), 'size of tensor'),
    (CE, dict(use_mask=True), 'does not support ignore_index'),
    ('LovaszLoss', dict(per_image=True), 'stack expects'),
    ('OhemCrossEntropy', {}, "unexpected keyword argument 'weight'"),
    ('BoundaryLoss', {}, 'unexpected keyword argument'),
    ('DiceLoss', {}, 'trains these pixels'),
    ('HuasdorffDisstanceLoss', {}, 'trains these pixels'),
])
def test_losses_that_do_not(kind, kwargs, reason):
    head = wsss_head(num_classes=6, loss_decode=dict(type=kind, **kwargs))
    with pytest.raises(UserError) as error:
        check_seg_losses(head)
    message = str(error.value)
    assert f'model.decode_head.loss_decode: {kind} fails on a' in message
    assert reason in message and 'Use BalancedSegLoss' in message


def test_loss_with_another_ignore_index():
    head = dict(ignore_index=77, **loss('TverskyLoss'))
    assert 'label with ignored pixels (77): it trains' in refused(
        decode_head=head)
    head['loss_decode']['ignore_index'] = 77
    assert build(decode_head=head)
    assert 'BalancedSegLoss fails on a label with ignored pixels (None)' in (
        refused(decode_head=dict(ignore_index=None)))


def test_losses_without_gradients():
    """A model may be built for prediction, without gradients."""
    with torch.no_grad():
        check_seg_losses(wsss_head())


@pytest.mark.parametrize('model, key', [
    (dict(decode_head=loss(CE, loss_name='ce')), 'decode_head.loss_decode'),
    (dict(decode_head=dict(loss_cls=dict(loss_name='ce'))),
     'decode_head.loss_cls'),
    (dict(affinity_head=dict(loss_aff=dict(loss_name='ce'))),
     'affinity_head.loss_aff'),
    (dict(loss_reg=dict(LOSS_REG, loss_name='ce')), 'loss_reg'),
])
def test_losses_that_would_only_be_logged(model, key):
    assert refused(**model).startswith(f"model.{key}.loss_name: found 'ce'")


def test_losses_of_one_name_add_up():
    """The energy under the name of the segmentation loss."""
    apart = loss_at(build(loss_reg=LOSS_REG), 900)
    together = loss_at(
        build(loss_reg=dict(LOSS_REG, loss_name='loss_seg')), 900)
    torch.testing.assert_close(
        together['decode.loss_seg'],
        apart['decode.loss_seg'] + apart['decode.loss_reg'])


def test_auxiliary_head():
    head = dict(type='FCNHead', in_channels=256, channels=8, num_classes=6)
    assert refused(auxiliary_head=head).startswith(
        'model.auxiliary_head: AFA never trains it')


@pytest.mark.parametrize('head', [
    dict(num_classes=2, out_channels=1),
    dict(num_classes=2, out_channels=1, threshold=0.4),
    dict(threshold=0.4),
    dict(num_classes=1),
])
def test_one_output(head):
    message = refused(decode_head=head)
    assert 'model.decode_head.threshold: found 0.' in message
    assert 'Remove out_channels and threshold' in message


def test_one_output_under_a_regularised_loss():
    with pytest.raises(UserError, match='RegularizedEncoderDecoder compares'):
        regularized(
            loss_reg=LOSS_REG, decode=dict(num_classes=2, out_channels=1))


@pytest.mark.parametrize('test_cfg, message', [
    (dict(mode='slied'), "mode: found 'slied'"),
    (dict(mode='slide'), "'slide' with crop_size and stride"),
    (dict(mode='slide', crop_size=(48, 48)), 'crop_size and stride'),
    (dict(source=['cam']), r"unknown ['source']"),
])
def test_bad_test_cfg(test_cfg, message):
    with pytest.raises(UserError) as error:
        complete_test_cfg(test_cfg)
    assert message in str(error.value)


def test_without_test_cfg():
    assert build(test_cfg=None).test_cfg.mode == 'whole'


def test_aligned_corners():
    """The segmentation is resized as mmseg resizes it."""
    net = build(
        decode_head=dict(align_corners=True), test_cfg=dict(sources=['seg']))
    inputs = torch.randn(1, 3, 48, 64)
    with torch.no_grad():
        found, = net.eval().predict(inputs)
        logits = net.decode_head(net.extract_feat(inputs))
    expected = F.interpolate(
        logits, (48, 64), mode='bilinear', align_corners=True)
    torch.testing.assert_close(found.seg_logits.data, expected[0])
