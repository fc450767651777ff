# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Overlays, by the colours of known pixels."""
import numpy as np
import pytest

from mmseg_afa.visualization import overlay_heatmap, overlay_label

PALETTE = [[0, 0, 0], [200, 100, 0], [0, 0, 250]]


def grey(height=4, width=6, level=100):
    return np.full((height, width, 3), level, np.uint8)


def test_heatmap_goes_from_blue_to_red():
    heat = np.zeros((4, 6), np.float32)
    heat[0, 0] = 1
    picture = overlay_heatmap(grey(), heat, opacity=0.5)
    assert picture.shape == (4, 6, 3) and picture.dtype == np.uint8
    # OpenCV's jet ends in half bright blue (128, 0, 0) and red (0, 0, 128).
    assert picture[0, 0].tolist() == [50, 50, 114]
    assert picture[3, 5].tolist() == [114, 50, 50]


@pytest.mark.parametrize('opacity, expected', [(0, 100), (1, 0)])
def test_heatmap_opacity(opacity, expected):
    picture = overlay_heatmap(grey(), np.zeros((4, 6)), opacity=opacity)
    assert (picture[..., 1] == expected).all()


def test_heatmap_leaves_its_inputs_alone():
    image, heat = grey(), np.full((4, 6), 0.5)
    overlay_heatmap(image, heat)
    assert (image == 100).all() and (heat == 0.5).all()


@pytest.mark.parametrize('value', [-0.1, 1.1, np.nan, np.inf])
def test_heatmap_outside_the_range(value):
    heat = np.full((4, 6), 0.5)
    heat[1, 2] = value
    with pytest.raises(ValueError, match=r'heat must be in \[0, 1\]'):
        overlay_heatmap(grey(), heat)


def test_heatmap_of_another_size():
    with pytest.raises(ValueError, match=r'\(4, 6\), got the shape \(6, 4\)'):
        overlay_heatmap(grey(), np.zeros((6, 4)))


def test_label_colours():
    label = np.array([[0, 1], [2, 1]])
    picture = overlay_label(grey(2, 2), label, PALETTE, opacity=0.5)
    # RGB colours of the palette, as BGR, half and half with grey 100
    assert picture.tolist() == [[[50, 50, 50], [50, 100, 150]],
                                [[175, 50, 50], [50, 100, 150]]]


def test_ignored_pixels_are_hatched():
    label = np.full((16, 16), 255, np.uint8)
    label[8:] = 1
    picture = overlay_label(grey(16, 16), label, PALETTE, opacity=1)
    assert set(np.unique(picture[:8])) == {150, 255}
    assert (picture[:8] == 255).all(2).mean() == 0.75
    assert (picture[8:] == [0, 100, 200]).all()


@pytest.mark.parametrize('dtype', [np.uint8, np.int32, np.int64])
def test_label_types(dtype):
    label = np.full((4, 6), 255, dtype)
    label[0] = 2
    picture = overlay_label(grey(), label, PALETTE, opacity=1)
    assert picture[0, 0].tolist() == [250, 0, 0]


@pytest.mark.parametrize('value', [3, -1, 254, 256])
def test_label_without_a_colour(value):
    with pytest.raises(
            ValueError, match=rf'\[{value}\].*palette has 3 colours'):
        overlay_label(grey(), np.full((4, 6), value), PALETTE)


def test_label_of_real_numbers():
    with pytest.raises(TypeError, match='integer type, got float64'):
        overlay_label(grey(), np.zeros((4, 6)), PALETTE)


@pytest.mark.parametrize('palette',
                         [[], [[1, 2]], [[0, 0, 256]], [[0.5, 0, 0]]])
def test_bad_palette(palette):
    with pytest.raises(ValueError, match='palette must be a list of'):
        overlay_label(grey(), np.zeros((4, 6), int), palette)


@pytest.mark.parametrize('image, error', [
    (np.zeros((4, 6, 3)), TypeError),
    ([[0]], TypeError),
    (np.zeros((4, 6), np.uint8), ValueError),
    (np.zeros((4, 6, 4), np.uint8), ValueError),
    (np.zeros((0, 6, 3), np.uint8), ValueError),
])
def test_bad_image(image, error):
    with pytest.raises(error, match='image must'):
        overlay_heatmap(image, np.zeros((4, 6)))
    with pytest.raises(error, match='image must'):
        overlay_label(image, np.zeros((4, 6), int), PALETTE)
