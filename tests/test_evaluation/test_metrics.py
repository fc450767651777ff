# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch

from mmseg_afa.evaluation import ImageLabelMetric
from mmseg_afa.evaluation.metrics.image_label_metric import (
    average_precisions, image_f1)


def test_image_f1():
    pred = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0]]).bool()
    label = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 1, 0]]).bool()
    assert image_f1(pred, label) == pytest.approx((2 / 3 + 0 + 1 + 1) / 4)


def test_average_precisions():
    scores = torch.tensor([[.9, .1], [.8, .2], [.7, .3]])
    labels = torch.tensor([[1., 0], [0, 0], [1, 0]])
    # ranks 1 and 3 of the only class that occurs
    first, second = average_precisions(scores, labels).tolist()
    assert first == pytest.approx(100 * (1 + 2 / 3) / 2, abs=1e-3)
    assert second != second


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
    assert {
        key: values.tolist()
        for key, values in metric.report.items()
    } == dict(
        AP=[100, 100], chance=[100, 50])


def test_no_class_occurs():
    metric = ImageLabelMetric()
    metric.process({}, [
        dict(
            pred_image_scores=torch.tensor([.9, .2]),
            image_label=torch.zeros(2))
    ])
    assert metric.evaluate(1)['image_label/mAP'] == 0
