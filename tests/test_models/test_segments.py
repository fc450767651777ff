# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Snap masks to segments that other tools drew."""
import json

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label

from mmseg_afa.models import SegmentFolder, snap_to_segments
from mmseg_afa.utils import UserError
from tests.tissue import draw_tissue

coco = pytest.importorskip('pycocotools.mask')


def parts_of(truth, cell):
    """Cut the connected parts of each label by a grid: (H, W), from 0."""
    parts = np.zeros(truth.shape, np.int64)
    for value in np.unique(truth):
        connected, _ = label(truth == value)
        parts += connected * (256 + int(value))
    rows, cols = np.indices(truth.shape) // cell
    index = (parts * 1000 + rows) * 1000 + cols
    return np.unique(index, return_inverse=True)[1].reshape(truth.shape)


def run_lengths(inside, as_list=False):
    one = coco.encode(np.asfortranarray(inside, np.uint8))
    counts = one['counts'].decode()
    if as_list:
        flat = np.ravel(inside, 'F').astype(int)
        edges = np.flatnonzero(np.diff(flat, prepend=0, append=2))
        counts = np.diff(edges, prepend=0).tolist()
    return dict(size=one['size'], counts=counts)


def write_json(path, segments, as_list=False):
    content = [
        dict(segmentation=run_lengths(one, as_list), area=int(one.sum()))
        for one in segments
    ]
    path.write_text(json.dumps(content))


def box(top, bottom, left, right, size=(10, 10)):
    inside = np.zeros(size, bool)
    inside[top:bottom, left:right] = True
    return inside


def test_noise_snaps_back_to_the_truth():
    """The parts of 255 have no vote."""
    _, truth, _ = draw_tissue(np.random.default_rng(0), 96)
    truth[:30, :30] = 0  # background wins its segments, too
    parts = parts_of(truth, 24)
    rng = np.random.default_rng(1)
    noisy, wrong = truth.copy(), np.zeros(truth.shape, bool)
    for one in range(parts.max() + 1):  # a third of each part
        pixels = np.flatnonzero(parts == one)
        wrong.ravel()[rng.choice(pixels, len(pixels) // 3, False)] = True
    wrong &= truth != 255
    noisy[wrong] = rng.choice([0, 1, 2, 3, 255], wrong.sum())
    assert (noisy != truth).mean() > 0.1
    found = snap_to_segments(noisy, parts)
    assert found.dtype == np.uint8 and (found == truth).all()


def test_index_map_and_run_lengths_are_equal(tmp_path):
    rng = np.random.default_rng(0)
    mask = rng.choice(np.uint8([0, 1, 2, 255]), (20, 30), p=[.3, .3, .3, .1])
    parts = parts_of(np.zeros((20, 30), int), 7)
    each = [parts == one for one in range(parts.max() + 1)]
    folders = {name: tmp_path / name for name in 'abcd'}
    for folder in folders.values():
        folder.mkdir()
    Image.fromarray(parts.astype(np.uint8)).save(folders['a'] / 'x.png')
    Image.fromarray(
        (parts * 1000).astype(np.uint16)).save(folders['b'] / 'x.png')
    write_json(folders['c'] / 'x.json', each)
    write_json(folders['d'] / 'x.json', each, as_list=True)
    for rule in ('majority', 'sepl'):
        found = [
            SegmentFolder(folder, {'photo': 'x'}, rule)(mask, 'photo')
            for folder in folders.values()
        ]
        assert (found[0] != mask).any()
        assert all((one == found[0]).all() for one in found)


@pytest.mark.parametrize('order', [1, -1])
def test_smaller_segment_wins(order):
    mask = np.zeros((10, 10), np.uint8)
    mask[:, :8] = 1
    mask[2:4, 2:4] = 2
    mask[9] = 3  # outside of all segments
    segments = [box(0, 9, 0, 10), box(2, 4, 2, 5), box(6, 8, 8, 10)]
    segments = [run_lengths(one) for one in segments[::order]]
    expected = np.ones((10, 10), np.uint8)
    expected[2:4, 2:5] = 2
    expected[6:8, 8:] = 0  # background wins there
    expected[9] = 3
    assert (snap_to_segments(mask, segments) == expected).all()


@pytest.mark.parametrize('width, taken', [(5, False), (6, True)])
def test_sepl_half_of_the_segment(width, taken):
    """More than half, of a class that is mostly elsewhere."""
    mask = np.zeros((10, 10), np.uint8)
    mask[0, :width] = 2
    mask[5:] = 2  # outside of the segments: stays
    mask[1, 0] = 255
    segments = [run_lengths(box(0, 1, 0, 10)), run_lengths(box(1, 2, 0, 10))]
    expected = mask.copy()
    expected[0] = 2 * taken  # as a whole, or background
    assert (snap_to_segments(mask, segments, 'sepl') == expected).all()


@pytest.mark.parametrize('inside, taken', [(16, False), (17, True)])
def test_sepl_share_of_the_class(inside, taken):
    """At least 85 % of a class of 20 pixels, in a segment of 80."""
    mask = np.zeros((10, 10), np.uint8)
    mask.ravel()[:inside] = 1
    mask.ravel()[100 - (20 - inside):] = 1
    found = snap_to_segments(mask, [run_lengths(box(0, 8, 0, 10))], 'sepl')
    assert (found[:8] == taken).all() and (found[8:] == mask[8:]).all()


def test_sepl_without_any_class():
    mask = np.zeros((10, 10), np.uint8)
    mask[0] = 255
    for segments in ([], [run_lengths(box(0, 4, 0, 4))], box(0, 5, 0, 9) * 1):
        assert (snap_to_segments(mask, segments, 'sepl') == mask).all()


@pytest.mark.parametrize('content, message', [
    (b'', 'x.json: cannot be read'),
    (b'{"annotations": []}', 'x.json: cannot be read .TypeError'),
    (b'[{"area": 3}]', "x.json: cannot be read .KeyError.'segmentation'"),
    (b'[{"segmentation": {"size": [10, 10], "counts": [3, 2]}}]',
     'x.json: cannot be read .*RLE'),
    (b'[{"segmentation": {"size": [5, 4], "counts": [3, 17]}}]',
     r'x.json: found shape \(5, 4\), the photo has \(10, 10\)'),
])
def test_broken_json(tmp_path, content, message):
    (tmp_path / 'x.json').write_bytes(content)
    snap = SegmentFolder(tmp_path, {'p': 'x'})
    with pytest.raises(UserError, match=message):
        snap(np.zeros((10, 10), np.uint8), 'p')


@pytest.mark.parametrize('shape', [(10, 11), (10, 10, 3)])
def test_png_of_another_shape(tmp_path, shape):
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / 'x.png')
    with pytest.raises(UserError, match=r'x.png: found shape '):
        SegmentFolder(tmp_path, {'p': 'x'})(np.zeros((10, 10), np.uint8), 'p')


def test_missing_files_and_rules(tmp_path):
    with pytest.raises(UserError, match='2 of 2 photos have no seg.*x.png or'):
        SegmentFolder(tmp_path, dict(a='x', b='y'))
    with pytest.raises(UserError, match="found 'most', expected one of"):
        SegmentFolder(tmp_path, {}, 'most')
