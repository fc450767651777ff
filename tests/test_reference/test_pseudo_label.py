# Copyright (c) mmseg_afa contributors. All rights reserved.
"""pseudo_label_*.npz and radius_mask*.npz."""
import re

import pytest
import torch

from mmseg_afa.models import (PAR, AffinityLoss, BalancedSegLoss,
                              PresentClasses, PseudoLabeler, radius_mask)
from mmseg_afa.models.pseudo_labels.boxes import box_mask
from mmseg_afa.models.segmentors.score_maps import with_background
from . import reference as ref

AFFINITY_RADIUS = 8


@pytest.fixture(params=ref.names('pseudo_label_'))
def data(request):
    data = ref.load(request.param)
    data['image'] = data['image'].float() / 255
    return data


@pytest.fixture
def labeler(data):
    return PseudoLabeler(radius=int(data['radius']), refiner=PAR(num_iter=10))


def crop(data):
    classes = PresentClasses.from_image_label(data['image_labels'])
    return (classes.select_channels(data['cam']), classes, data['img_box'],
            data['image'])


def affinity(data):
    return data['affinity_infer'], tuple(data['propagated_low'].shape[-2:])


@pytest.mark.parametrize('num_iter, key', [(10, 'par_masks_out'),
                                           (15, 'par_masks_out_15')])
def test_par(data, num_iter, key):
    out = PAR(num_iter=num_iter)(data['image'], data['par_masks_in'])
    ref.assert_close(out[..., ::2, ::2], data[key])


def test_threshold_labels(data):
    cam, classes, *_ = crop(data)
    maps = with_background(cam, classes, 0.45)
    valid_cam = classes.scatter(maps.scores, 1 + data['cam'].shape[1])[:, 1:]
    ref.assert_close(valid_cam, data['valid_cam'])
    evaluated, _ = maps.argmax_with_confidence()
    ref.assert_same_labels(evaluated, data['cam_label_eval'])
    ref.assert_same_labels(PseudoLabeler().cam_label(*crop(data)),
                           data['cam_label_train'])


def test_cam_label(data, labeler):
    ref.assert_same_labels(
        labeler.cam_label(*crop(data)), data['cam_refined_label'])


def test_random_walk(data, labeler):
    for name, score in (('low', 0.35), ('high', 0.55)):
        cam, classes, *_ = crop(data)
        walked = labeler.walk(cam, classes, *affinity(data), (score, ))
        ref.assert_close(
            classes.scatter(walked, 1 + data['image_labels'].shape[1]),
            data[f'propagated_{name}'])


def test_refined_label(data, labeler):
    high, low = labeler.refined_label_scores(*crop(data), *affinity(data))
    classes = PresentClasses.from_image_label(data['image_labels'])
    # the published arrays hold zeros outside the boxes
    inside = box_mask(data['img_box'], high.shape[-2:])
    ref.assert_close(
        classes.scatter(low, 1 + data['image_labels'].shape[1])[:, :3] *
        inside[:, None], data['refined_low'])
    ref.assert_same_labels(
        classes.argmax(low) * inside, data['refined_low_label'])
    ref.assert_same_labels(
        classes.argmax(high) * inside, data['refined_high_label'])
    ref.assert_same_labels(
        labeler.refined_label(*crop(data), *affinity(data)),
        data['affinity_refined_label'])


def test_affinity_label_and_loss(data):
    labeler = PseudoLabeler(radius=AFFINITY_RADIUS)
    grid = tuple(-(-n // 16) for n in data['image'].shape[-2:])
    label = labeler.affinity_label(data['cam_refined_label'].long(), grid)
    ref.assert_same_labels(label, data['affinity_label'])

    pred = data['affinity_pred'].requires_grad_()
    loss = AffinityLoss(loss_weight=1.)(pred, data['affinity_label'])
    ref.assert_close(loss, data['affinity_loss'])
    loss.backward()
    ref.assert_close(pred.grad, data['affinity_loss_grad'])


def test_segmentation_loss(data):
    logits = data['seg_logits'].requires_grad_()
    loss = BalancedSegLoss(loss_weight=1.)(logits,
                                           data['cam_refined_label'].long())
    ref.assert_close(loss, data['seg_loss'])
    loss.backward()
    ref.assert_close(logits.grad.abs().mean((0, 2, 3)),
                     data['seg_loss_grad_absmean'])


@pytest.mark.parametrize('name', ref.names('radius_mask'))
def test_radius_mask(name):
    for key, expected in ref.load(name).items():
        rows, cols, radius = map(
            int,
            re.fullmatch(r'm_(\d+)x(\d+)_r(\d+)', key).groups())
        assert torch.equal(radius_mask((rows, cols), radius), expected.bool())
