# Copyright (c) mmseg_afa contributors. All rights reserved.
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from mmseg_afa.datasets.coco_masks import (MAX_OUTLINE, CocoAnnotation,
                                           CocoImage, draw_mask, encode)
from .coco_folder import box, compressed_rle, polygon, rle

HEIGHT, WIDTH = 20, 30


def draw(*annotations, crowd='ignore', size=(HEIGHT, WIDTH)):
    """Draw (id, number, iscrowd, segmentation)."""
    annotations = tuple(
        CocoAnnotation(*rest, json.dumps(segmentation))
        for *rest, segmentation in annotations)
    return draw_mask(CocoImage('a', *size, annotations), crowd, 'a.json')


def region(*corners):
    return box(HEIGHT, WIDTH, *corners)


def test_every_form_of_a_rectangle_is_the_same():
    expected = 7 * region(2, 3, 9, 14)
    for segmentation in (polygon(2, 3, 9, 14), rle(region(2, 3, 9, 14)),
                         compressed_rle(region(2, 3, 9, 14))):
        mask = draw((1, 7, False, segmentation))
        assert mask.dtype == np.uint8 and mask.flags.c_contiguous
        np.testing.assert_array_equal(mask, expected)


def test_a_slanted_polygon_is_what_pycocotools_draws():
    triangle = [[1.5, 2.25, 27.75, 4.5, 11.1, 18.9]]
    expected = coco_mask.decode(
        coco_mask.frPyObjects(triangle, HEIGHT, WIDTH))[..., 0]
    assert 150 < expected.sum() < 250
    np.testing.assert_array_equal(
        draw((1, 80, False, triangle)), 80 * expected)


def test_several_polygons_are_one_object():
    both = polygon(0, 0, 5, 5) + polygon(3, 3, 8, 8)
    np.testing.assert_array_equal(
        draw((1, 1, False, both)),
        np.maximum(region(0, 0, 5, 5), region(3, 3, 8, 8)))


@pytest.mark.parametrize('ids', [(1, 2), (2, 1)])
def test_small_objects_are_on_large_ones(ids):
    mask = draw((ids[0], 3, False, polygon(0, 0, 10, 10)),
                (ids[1], 4, False, polygon(8, 8, 12, 12)))
    expected = 3 * region(0, 0, 10, 10)
    expected[8:12, 8:12] = 4
    np.testing.assert_array_equal(mask, expected)


def test_of_equally_large_objects_the_later_is_on_top():
    first = (5, 3, False, polygon(0, 0, 4, 4))
    second = (6, 4, False, polygon(2, 2, 6, 6))
    for mask in (draw(first, second), draw(second, first)):
        assert mask[3, 3] == 4 and mask[1, 1] == 3


@pytest.mark.parametrize('crowd, value', [('ignore', 255), ('class', 9)])
def test_crowds_are_below_objects(crowd, value):
    # The crowd is smaller than the object that it lies under.
    mask = draw((1, 9, True, rle(region(4, 4, 8, 20))),
                (2, 5, False, polygon(0, 0, 10, 10)),
                crowd=crowd)
    expected = value * region(4, 4, 8, 20)
    expected[:10, :10] = 5
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize('segmentation', [
    [],
    [[]],
    [[1, 2]],
    [[1, 2, 9, 12]],
    [[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]],
    dict(size=[HEIGHT, WIDTH], counts=[HEIGHT * WIDTH]),
])
def test_what_covers_no_pixel(segmentation):
    assert not draw((1, 1, False, segmentation)).any()


def test_a_degenerate_polygon_beside_a_proper_one():
    mask = draw((1, 1, False, [[1, 2, 9, 12]] + polygon(2, 3, 9, 14)))
    np.testing.assert_array_equal(mask, region(2, 3, 9, 14))


def test_polygons_are_cut_at_the_edge():
    mask = draw((1, 1, False, polygon(-5, -5, 3, 500)))
    np.testing.assert_array_equal(mask, region(0, 0, 3, WIDTH))


SIZE = [HEIGHT, WIDTH]


@pytest.mark.parametrize('segmentation, message', [
    ([[1, 2, 3, 4, 5, 6, 7]], 'expected a list of numbers x, y'),
    ([[1, 2, 3]], 'expected a list of numbers x, y'),
    ([1, 2, 3, 4, 5, 6], 'expected a list of numbers x, y'),
    ([['a', 'b']], 'expected a list of numbers x, y'),
    ([[[1, 2], [3, 4]]], 'expected a list of numbers x, y'),
    ([[10**400, 0]], 'expected a list of numbers x, y'),
    ([[None, 2, 3, 4, 5, 6]], 'leads too far'),
    ([[0, 0, 1e9, 0, 0, 1e9]], 'leads too far'),
    ([[1e9, 1e9, 1e9, 1e9, 1e9, 1e9]], 'leads too far'),
    ([[0, 0, 30, 20] * (MAX_OUTLINE // 50)], 'leads too far'),
    (None, 'expected a list of polygons or run lengths'),
    ('abc', 'expected a list of polygons or run lengths'),
    (dict(size=[WIDTH, HEIGHT], counts=[600]), r'size \[30, 20\], but the im'),
    (dict(counts=[600]), 'size None, but the image'),
    (dict(size=SIZE), 'expected a list of integers or'),
    (dict(size=SIZE, counts=[]), 'expected a list of integers or'),
    (dict(size=SIZE, counts=[300.5, 299.5]), 'expected a list of integers or'),
    (dict(size=SIZE, counts=[[300, 300]]), 'expected a list of integers or'),
    (dict(size=SIZE, counts=[10**30]), 'expected a list of integers or'),
    (dict(size=SIZE, counts=[599]), 'do not sum up to the 600 pixels'),
    (dict(size=SIZE, counts=[300, 301]), 'do not sum up to the 600 pixels'),
    (dict(size=SIZE, counts=[-1, 601]), 'do not sum up to the 600 pixels'),
    (dict(size=SIZE, counts=[2**62] * 4 + [600]), 'do not sum up to the 600'),
    (dict(size=SIZE, counts=''), 'expected a list of integers or'),
    (dict(size=SIZE, counts='é'), 'expected a list of integers or'),
    (dict(size=SIZE, counts='~~'), 'expected a list of integers or'),
    (dict(size=SIZE, counts='355P'), 'expected a list of integers or'),
    (dict(size=SIZE, counts='P' * 12 + '0'), 'expected a list of integers or'),
    (dict(size=SIZE, counts='355'), 'do not sum up to the 600 pixels'),
])
def test_broken_segmentations(segmentation, message):
    with pytest.raises(
            ValueError, match=f'^a.json: annotation 17: .*{message}'):
        draw((17, 1, False, segmentation))


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_compressed_run_lengths_are_read_as_pycocotools_does(seed, h, w):
    rng = np.random.default_rng(seed)
    mask = np.asfortranarray(rng.random((h, w)) < rng.random(), np.uint8)
    encoded = encode(compressed_rle(mask), h, w)
    assert encoded == coco_mask.encode(mask)
    np.testing.assert_array_equal(coco_mask.decode(encoded), mask)


@st.composite
def scenes(draw):
    """A size, and rectangles of it with class, crowd, and form."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rectangles = []
    for _ in range(draw(st.integers(0, 6))):
        top = draw(st.integers(0, height - 1))
        left = draw(st.integers(0, width - 1))
        rectangles.append((top, left, draw(st.integers(top + 1, height)),
                           draw(st.integers(left + 1,
                                            width)), draw(st.integers(1, 80)),
                           draw(st.booleans()), draw(st.sampled_from('prc'))))
    return height, width, rectangles


@given(scenes(), st.sampled_from(('ignore', 'class')))
def test_rectangles_are_painted_as_numpy_does(scene, crowd):
    height, width, rectangles = scene
    annotations, expected = [], np.zeros((height, width), np.uint8)
    for id, (*corners, number, iscrowd, form) in enumerate(rectangles):
        mask = box(height, width, *corners)
        segmentation = dict(
            p=polygon(*corners), r=rle(mask), c=compressed_rle(mask))[form]
        annotations.append((id, number, iscrowd, segmentation))

    def area(rectangle):
        top, left, bottom, right = rectangle[:4]
        return (bottom - top) * (right - left)

    by_area = sorted(rectangles, key=area, reverse=True)
    for wanted in (True, False):
        for top, left, bottom, right, number, iscrowd, _ in by_area:
            if iscrowd == wanted:
                ignored = iscrowd and crowd == 'ignore'
                expected[top:bottom, left:right] = 255 if ignored else number
    np.testing.assert_array_equal(
        draw(*annotations, crowd=crowd, size=(height, width)), expected)
