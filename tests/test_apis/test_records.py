# Copyright (c) mmseg_afa contributors. All rights reserved.
import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_afa.apis.records import (COLUMNS, describe, doubt, most_doubtful,
                                    remarks, write_table)

CLASSES = ('background', 'cat', 'dog')


def test_describe():
    mask = np.array([[0, 0, 1, 255]], np.uint8)
    confidence = np.array([[255, 0, 51, 0]], np.uint8)
    assert describe(mask, confidence, CLASSES) == dict(
        background=dict(area=.5, confidence=.5),
        cat=dict(area=.25, confidence=.2),
        unsure=dict(area=.25, confidence=0))


@given(st.lists(st.sampled_from([0, 1, 2, 255]), min_size=1, max_size=50))
def test_areas_add_up(values):
    mask = np.array([values], np.uint8)
    found = describe(mask, np.full_like(mask, 255), CLASSES)
    assert sum(x['area'] for x in found.values()) == pytest.approx(1, abs=1e-5)
    assert all(x['confidence'] == 1 for x in found.values())


@pytest.mark.parametrize(
    'shown, scores, tags, expected',
    [
        (['cat'], dict(cat=.9, dog=.1), ['cat'], {}),
        (['cat'], dict(cat=.9, dog=.1), None, {}),
        ([], dict(cat=.9, dog=.1), None, dict(cat='predicted, empty mask')),
        ([], dict(cat=.9, dog=.1), ['cat'
                                    ], dict(cat='tag with an empty mask')),
        (['cat'], dict(cat=.2, dog=.8), ['cat'],
         dict(
             cat='tag that the classifier contradicts',
             dog='predicted, but no tag')),
        ([], dict(cat=.2, dog=.1), ['cat'],
         dict(
             cat='tag with an empty mask; tag that the classifier contradicts')
         ),
        ([], {}, ['cat'], dict(cat='tag with an empty mask')),  # no classifier
        (['cat'], {}, None, {}),
    ])
def test_remarks(shown, scores, tags, expected):
    assert remarks(shown, scores, tags) == expected


def record(name, confidence, tags=None, **remark):
    classes = dict(background=dict(area=1., confidence=confidence))
    return dict(
        photo=name,
        tags=tags,
        scores=dict(cat=.9, dog=.1),
        sources=dict(seg=dict(classes=classes, remarks=remark)))


def test_the_worst_come_first():
    records = [
        record('sure', .9),
        record('odd', .99, cat='predicted, empty mask'),
        record('doubtful', .2)
    ]
    assert [doubt(r, 'seg') for r in records] == pytest.approx([.1, 1.01, .8])
    worst = most_doubtful(iter(records), 'seg', 2)
    assert [r['photo'] for r in worst] == ['odd', 'doubtful']


def test_table(tmp_path):
    path = tmp_path / 'images.csv'
    write_table(path, [
        record('a, "b"', .5, ['cat'], cat='tag with an empty mask'),
        record('ü', 1.)
    ])
    with open(path, encoding='utf-8', newline='') as file:
        rows = list(csv.reader(file))
    assert rows == [
        list(COLUMNS),
        ['a, "b"', 'seg', 'background', '1.0', '0.5', '', '', ''],
        [
            'a, "b"', 'seg', 'cat', '0', '', '0.9', 'yes',
            'tag with an empty mask'
        ],
        ['ü', 'seg', 'background', '1.0', '1.0', '', '', ''],
    ]
