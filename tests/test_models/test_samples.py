# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmseg.structures import SegDataSample

from mmseg_afa.models.utils import (most_classes, stack_boxes,
                                    stack_image_labels)
from mmseg_afa.utils import UserError


@pytest.mark.parametrize('meta, expected', [
    (dict(img_box=(4, 30, 2, 20), img_shape=(32, 40)), [4, 30, 2, 20]),
    (dict(img_shape=(32, 40)), [0, 32, 0, 40]),
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


def test_image_labels():
    labels = [[0., 1., 1.], [1., 0., 0.]]
    assert stack_image_labels(samples(*labels), 3).tolist() == labels


@pytest.mark.parametrize('label, number', [(None, 0), ([1., 0.], 2)])
def test_wrong_image_labels(label, number):
    with pytest.raises(
            UserError, match=f'1.jpg has {number} classes, the model has 3'):
        stack_image_labels(samples([0., 1., 1.], label), 3)


@pytest.mark.parametrize('counts, most', [([1, 3, 2], 3), ([1, None], None)])
def test_most_classes(counts, most):
    metas = [dict(num_tags=n) if n else dict() for n in counts]
    assert most_classes([SegDataSample(metainfo=m) for m in metas]) == most
