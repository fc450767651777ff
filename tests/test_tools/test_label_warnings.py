# Copyright (c) mmseg_afa contributors. All rights reserved.
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / 'tools/dataset_converters'


def labels_of(**images):
    """Make labels from the numbers of images of each class; 100 in all."""
    labels = {number: [] for number in range(100)}
    for name, numbers in images.items():
        for number in numbers:
            labels[number].append(name)
    return [*images], labels


@pytest.mark.parametrize('images, wanted', [
    (dict(cat=range(50), dog=range(40, 60)), []),
    (dict(owl=range(96), cat=range(9)),
     ["'owl' is on 96 of 100 photos (96%): it cannot be learned. Add"]),
    (dict(a=range(95), b=range(4)),
     ["'a' is on 95 of 100", '1 classes have fewer than 5 photos: ']),
    (dict(a=range(94), b=range(5)), []),
    (dict(cat=range(9), tail=range(9)),
     ["'cat', 'tail' are always together, on 9 photos"]),
    ({'hot dog': range(9), 'hot-dogs': range(20), 'box': range(5, 12),
      'boxes': range(6, 12)},
     ["2 classes look alike: 'hot dog', 'hot-dogs'. To merge them, add "
      "--rename 'hot dog=hot-dogs'", "2 classes look alike: 'box', 'boxes'"]),
    ({'haze clear': range(9), 'clear': range(8), 'traffic light': range(7)},
     ["2 classes seem to hold several tags, such as 'haze clear'"]),
    ({'e': range(9), 's': range(8), 'traffic light': range(7)}, []),
])  # yapf: disable
def test_label_warnings(monkeypatch, images, wanted):
    monkeypatch.syspath_prepend(str(FOLDER))
    from label_warnings import label_warnings
    found = label_warnings(*labels_of(**images))
    assert len(found) == len(wanted)
    for text, start in zip(found, wanted):
        assert text.startswith(start)
