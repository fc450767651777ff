# Copyright (c) mmseg_afa contributors. All rights reserved.
import sys

import pytest
import torch

from mmseg_afa.evaluation import CAMIoUMetric, ImageLabelMetric
from mmseg_afa.evaluation.metrics.image_label_metric import (
    image_f1, mean_average_precision)

CLASSES = ('background', 'cat', 'dog')


def sample(pred, label, **fields):
    return dict(
        gt_sem_seg=dict(data=torch.tensor([label])),
        cam_label=dict(data=torch.tensor([pred])),
        pred_sem_seg=dict(data=torch.full((1, 1, len(label[0])), 9)),
        **fields)


def test_cam_iou():
    """Scores the CAM's labels, not the segmentation, by its own name."""
    metric = CAMIoUMetric(field='cam_label')
    metric.dataset_meta = dict(classes=CLASSES)
    metric.process({}, [sample([[0, 1, 1, 2]], [[0, 1, 2, 2]])])
    metric.process({}, [sample([[0, 0, 0, 0]], [[0, 0, 255, 1]])])
    scores = metric.evaluate(2)
    # background 3 / 4, cat 1 / 3, dog 1 / 2
    expected = 100 * (3 / 4 + 1 / 3 + 1 / 2) / 3
    assert scores['cam_given_tags/mIoU'] == pytest.approx(expected, abs=0.01)


def test_missing_field():
    metric = CAMIoUMetric('affinity_cam_label')
    assert metric.prefix == 'affinity_cam_given_tags'
    with pytest.raises(KeyError, match='with_affinity_cam'):
        metric.process({}, [sample([[0]], [[0]])])
    with pytest.raises(KeyError, match='with_cam'):
        ImageLabelMetric().process({}, [sample([[0]], [[0]])])


def test_image_f1():
    pred = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]]).bool()
    label = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 1, 0]]).bool()
    assert image_f1(pred, label) == pytest.approx((2 / 3 + 0 + 1 + 1) / 4)


def test_mean_average_precision():
    scores = torch.tensor([[.9, .1], [.8, .2], [.7, .3]])
    labels = torch.tensor([[1., 0], [0, 0], [1, 0]])
    # ranks 1 and 3 of the only class that occurs
    assert mean_average_precision(scores, labels) == pytest.approx(
        100 * (1 + 2 / 3) / 2, abs=1e-3)
    assert mean_average_precision(scores, torch.zeros(3, 2)) == 0


def test_mean_average_precision_is_that_of_mmpretrain():
    pytest.importorskip('torchvision')  # which mmpretrain imports
    from mmpretrain.evaluation import AveragePrecision
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(50, 7, generator=generator)
    labels = (torch.rand(50, 7, generator=generator) < .2).float()
    assert mean_average_precision(scores, labels) == pytest.approx(
        AveragePrecision.calculate(scores, labels).item(), rel=1e-6)


def test_image_label_metric(monkeypatch):
    """Also without mmpretrain, which needs torchvision."""
    monkeypatch.setitem(sys.modules, 'mmpretrain.evaluation', None)
    metric = ImageLabelMetric()
    metric.process({}, [
        sample([[0]], [[0]],
               pred_image_scores=torch.tensor([.9, .2]),
               image_label=torch.tensor([1., 0])),
        sample([[0]], [[0]],
               pred_image_scores=torch.tensor([.4, .6]),
               image_label=torch.tensor([1., 1])),
    ])
    assert metric.evaluate(2) == {
        'image_label/F1': pytest.approx(100 * (1 + 2 / 3) / 2, abs=0.01),
        'image_label/mAP': 100.
    }
