# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import pytest
import torch

from mmseg_afa.evaluation.training_report import (count_classes, covers_border,
                                                  summarize)

NAMES = ('cat', 'dog')
# 10 training photos, of which 4 show cats and 2 show dogs
TAGS = np.zeros((10, 2), np.uint8)
TAGS[:4, 0] = TAGS[3:5, 1] = 1
GOOD = dict(
    label=torch.tensor([80, 15, 5]),
    predicted=torch.tensor([70, 20, 10]),
    crops=torch.tensor([20, 10, 5]),
    photos=torch.tensor([50, 20, 10]),
    inverted=torch.tensor([0, 12, 1]))
SCORES = dict(AP=torch.tensor([80., 31.]), chance=torch.tensor([40., 20.]))


def test_numbers():
    report = summarize(NAMES, TAGS, GOOD, SCORES)
    cat, dog = report.pop('classes')
    assert report == dict(photos=10, untagged=5, foreground=20., warnings=[])
    assert cat == dict(
        name='cat',
        photos=4,
        AP=80.,
        chance=40.,
        label=15.,
        coverage=30.,
        predicted=20.,
        inverted=60.)
    assert (dog['photos'], dog['coverage']) == (2, 20.)


@pytest.mark.parametrize('counts', [{}, {
    name: torch.zeros(3, dtype=int)
    for name in GOOD
}])
def test_unknown_numbers(counts):
    report = summarize(NAMES, TAGS, counts, {})
    assert report['foreground'] is None and not report['warnings']
    assert report['classes'][1] == dict.fromkeys(report['classes'][1]) | dict(
        name='dog', photos=2)


def changed(tags=TAGS, AP=(80., 31.), chance=(40., 20.), **counts):
    counts = {k: torch.tensor(v) for k, v in counts.items()}
    scores = dict(AP=torch.tensor(AP), chance=torch.tensor(chance))
    return summarize(NAMES, tags, {**GOOD, **counts}, scores)['warnings']


@pytest.mark.parametrize('change, warning', [
    (dict(tags=TAGS | [1, 0]), 'cat: on at least 95 % of the training photos'),
    (dict(AP=(49., 100.)), 'cat: the classifier is hardly better than chance'),
    (dict(AP=(94., 100.), chance=(90., 20.)), 'cat: the classifier is hardly'),
    (dict(label=[999, 1, 0], crops=[20, 4, 2]), '0.1 % of the label pixels '
     'are foreground. Lower model.labeler.bkg_high'),
    (dict(label=[5, 90, 5]), '95.0 % of the label pixels are foreground. Rai'),
    (dict(label=[80, 20, 0]), 'dog: less than 0.5 % of the label pixels of'),
    (dict(predicted=[90, 0, 0]), 'cat, dog: never predicted. Train longer'),
    (dict(predicted=[90, 10, 0], tags=TAGS * [0, 1]), 'dog: never predicted. '
     '8 of 10 training photos have no tag. Draw fewer: '
     'train_dataloader.sampler.empty_share=0.25.'),
    (dict(inverted=[0, 12, 7]), 'dog: the CAM covers the border of most'),
])  # yapf: disable
def test_warnings(change, warning):
    found, = changed(**change)
    assert found.startswith(warning)


@pytest.mark.parametrize('change', [
    dict(AP=(96., 31.), chance=(90., 20.)),
    dict(AP=(100., 31.), chance=(100., 20.)),
    dict(AP=(np.nan, 31.), chance=(0., 20.), predicted=[90, 0, 10]),
    dict(label=[80, 20, 0], crops=[20, 10, 4]),
    dict(photos=[50, 4, 4], inverted=[0, 4, 4]),
])
def test_no_warning(change):
    assert changed(**change) == []


def test_count_classes():
    label = torch.tensor([[[0, 1, 255], [2, 2, 3]]])
    assert count_classes(label, 3).tolist() == [1, 1, 2]


@pytest.mark.parametrize('height, width', [(64, 80), (33, 17), (8, 8)])
def test_covers_border(height, width):
    middle = torch.zeros(height, width)
    middle[height // 8:-height // 8, width // 8:-width // 8] = 1
    cams = torch.stack([middle, 1 - middle, 0.5 * torch.ones_like(middle)])
    assert covers_border(cams).tolist() == [False, True, False]
