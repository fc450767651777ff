# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_afa.apis.photo_mask import (MaskRecord, class_statistics,
                                       inconsistencies)

CLASSES = ('background', 'cat', 'dog')


@given(st.lists(st.sampled_from([0, 1, 2, 255]), min_size=1, max_size=50))
def test_areas_add_up(values):
    mask = np.array([values], np.uint8)
    found = class_statistics(mask, np.full_like(mask, 255), CLASSES)
    assert sum(x['area'] for x in found.values()) == pytest.approx(1, abs=1e-5)
    assert all(x['confidence'] == 1 for x in found.values())


CONTRADICTED = 'tag that the classifier contradicts'


@pytest.mark.parametrize('shown, scores, tags, expected', [
    (['cat'], dict(cat=.9, dog=.1), ['cat'], {}),
    (['cat'], dict(cat=.9, dog=.1), None, {}),
    ([], dict(cat=.9, dog=.1), None, dict(cat='predicted, empty mask')),
    ([], dict(cat=.9, dog=.1), ['cat'], dict(cat='tag with an empty mask')),
    (['cat'], dict(cat=.2, dog=.8), ['cat'],
     dict(cat=CONTRADICTED, dog='predicted, but no tag')),
    ([], dict(cat=.2, dog=.1), ['cat'],
     dict(cat=f'tag with an empty mask; {CONTRADICTED}')),
    ([], {}, ['cat'], dict(cat='tag with an empty mask')),  # no classifier
    (['cat'], {}, None, {}),
])  # yapf: disable
def test_inconsistencies(shown, scores, tags, expected):
    assert inconsistencies(MaskRecord(shown, scores, tags)) == expected
