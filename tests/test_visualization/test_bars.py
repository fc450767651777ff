# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import pytest
from PIL import Image

from mmseg_afa.visualization import plot_classes

BLUE = (31, 119, 180)


def test_bars(tmp_path):
    """The longest bar is on top, and lengths are in proportion."""
    path = tmp_path / 'classes.png'
    plot_classes(path, dict(train=dict(cow=100, cat=400, dog=0)))
    picture = np.asarray(Image.open(path).convert('RGB'))
    lengths = (picture == BLUE).all(2).sum(1)
    bars = lengths[np.flatnonzero(np.diff(lengths, prepend=0) > 50) + 2]
    assert len(bars) == 2
    assert bars[0] / bars[1] == pytest.approx(4, abs=0.1)
    assert [file.name for file in tmp_path.iterdir()] == ['classes.png']


def test_height_grows_with_classes(tmp_path):
    heights = []
    for count in (3, 80):
        counts = {f'class {i}': i for i in range(count)}
        path = tmp_path / f'{count}.png'
        plot_classes(path, dict(train=counts, val=counts))
        heights.append(Image.open(path).height)
    assert heights == [220, 3300]


@pytest.mark.filterwarnings('error:Glyph')
def test_names_that_no_font_or_only_mathematics_can_write(tmp_path):
    pictures = []
    for name in ('\U000f0001', '\U000f0002', 'a$_2$', 'a$_$'):
        path = tmp_path / 'classes.png'
        plot_classes(path, dict(train={name: 1}))
        pictures.append(path.read_bytes())
    assert len(set(pictures)) == 4


def test_no_classes(tmp_path):
    with pytest.raises(ValueError, match='no classes to plot'):
        plot_classes(tmp_path / 'classes.png', dict(train={}, val={}))
