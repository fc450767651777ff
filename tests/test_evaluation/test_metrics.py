# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch

from mmseg_afa.evaluation import ImageLabelMetric
from mmseg_afa.evaluation.metrics.image_label_metric import (
    image_f1, mean_average_precision)


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


def test_image_label_metric():
    metric = ImageLabelMetric()
    metric.process({}, [
        dict(
            pred_image_scores=torch.tensor([.9, .2]),
            image_label=torch.tensor([1., 0])),
        dict(
            pred_image_scores=torch.tensor([.4, .6]),
            image_label=torch.tensor([1., 1])),
    ])
    assert [len(row) for row in metric.results[0]] == [2 * 4, 2]
    assert metric.evaluate(2) == {
        'image_label/F1': pytest.approx(100 * (1 + 2 / 3) / 2, abs=0.01),
        'image_label/mAP': 100.
    }
