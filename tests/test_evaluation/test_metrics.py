# Copyright (c) mmseg_afa contributors. All rights reserved.
import sys

import pytest
import torch

from mmseg_afa.evaluation import ImageLabelMetric
from mmseg_afa.evaluation.metrics.image_label_metric import (
    image_f1, mean_average_precision)


def sample(**fields):
    return dict(gt_sem_seg=dict(data=torch.tensor([[[0]]])), **fields)


def test_missing_field():
    with pytest.raises(KeyError, match='needs a classifier'):
        ImageLabelMetric().process({}, [sample()])


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
        sample(
            pred_image_scores=torch.tensor([.9, .2]),
            image_label=torch.tensor([1., 0])),
        sample(
            pred_image_scores=torch.tensor([.4, .6]),
            image_label=torch.tensor([1., 1])),
    ])
    assert [len(row) for row in metric.results[0]] == [2 * 4, 2]
    assert metric.evaluate(2) == {
        'image_label/F1': pytest.approx(100 * (1 + 2 / 3) / 2, abs=0.01),
        'image_label/mAP': 100.
    }
