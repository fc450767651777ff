# Copyright (c) mmseg_afa contributors. All rights reserved.
import re

import pytest

from mmseg_afa.datasets.label_sources import select_images, settle_tags

LABELS = {'b': ['dog', 'cat', 'dog'], 'a': []}
CLASSES = ('cat', 'cow', 'dog')


def test_select_images():
    assert list(select_images('x', LABELS).items()) == [('a', ()),
                                                        ('b', ('dog', 'cat',
                                                               'dog'))]
    assert list(select_images('x', LABELS, ['b'])) == ['b']
    # accents as keyboards and as macOS write them
    assert select_images('x', {'\xe9': ['cat']}, ['e\u0301']) == {
        'e\u0301': ('cat', )
    }


@pytest.mark.parametrize('labels, names, message', [
    ({}, None, 'x.csv: names no image'),
    (LABELS, ['a', 'c.jpg', 'd'],
     "x.csv: has nothing on 2 of 3 images of the list: 'c.jpg', 'd', but it "
     "has 'a', 'b'. Add the images"),
    ({
        '../a': []
    }, None, "x.csv: '../a' leads out of the folder"),
])
def test_wrong_images(labels, names, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        select_images('x.csv', labels, names)


def test_settle_tags():
    assert settle_tags('x', LABELS, CLASSES) == {'b': ('cat', 'dog'), 'a': ()}


def test_all_unknown_tags_in_one_message():
    labels = {f'i{n}': ['cat', 'kat', 'Dog'][n % 3:] for n in range(9)}
    labels['i4'] += ['zebra']
    with pytest.raises(ValueError) as error:
        settle_tags('x.csv', labels, CLASSES)
    assert str(error.value).splitlines() == [
        'x.csv: 3 tags are no classes:',
        "  'Dog': did you mean 'dog'? Images: 'i0', 'i1', 'i2', ... "
        '(9 in all)',
        "  'kat': did you mean 'cat'? Images: 'i0', 'i1', 'i3', ... "
        '(6 in all)',
        "  'zebra': Images: 'i4'",
        'Correct them, or add them to the classes, which are cat, cow, dog.',
    ]


def test_a_message_stays_short():
    labels = {f'i{n}': [f'tag{n}'] for n in range(1000)}
    with pytest.raises(ValueError) as error:
        settle_tags('x.csv', labels, CLASSES)
    lines = str(error.value).splitlines()
    assert len(lines) == 23 and lines[21] == '  ... (1000 in all)'
