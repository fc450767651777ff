# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import savemat

from mmseg_afa.datasets.mask_file import decode_mask, encode_mask
from mmseg_afa.datasets.sbd import decode_sbd_mask
from ..test_tools.voc_archives import make_mask, write_sbd_mask

MASK = make_mask('2008_000005')


def sbd_file(path, mask=MASK):
    write_sbd_mask(path, mask)
    return path.read_bytes()


def mat_file(path, **variables):
    savemat(path, variables)
    return path.read_bytes()


@given(
    mask=arrays(
        np.uint8,
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
        elements=st.integers(0, 20)))
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mat_to_png_keeps_every_pixel(tmp_path, mask):
    decoded = decode_sbd_mask(sbd_file(tmp_path / 'm.mat', mask), 'm.mat')
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, mask)
    png = encode_mask(decoded)
    np.testing.assert_array_equal(decode_mask(png, 'm.png', 21), mask)
    assert png == encode_mask(mask)  # whatever the order in memory


@pytest.mark.parametrize('part', [0, 0.1, 0.5, 0.99])
def test_cut_off(tmp_path, part):
    content = sbd_file(tmp_path / 'm.mat')
    with pytest.raises(ValueError, match='^m.mat: cannot be read as a mask'):
        decode_sbd_mask(content[:int(part * len(content))], 'm.mat')


def test_damage_is_found_before_it_can_crash_the_process(tmp_path):
    """scipy 1.17 dies of a segmentation fault of some of these."""
    content = sbd_file(tmp_path / 'm.mat')
    for position in range(136, len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 255
        with pytest.raises(ValueError, match='^m.mat: cannot be read as a m'):
            decode_sbd_mask(bytes(damaged), 'm.mat')


def test_absurd_size(tmp_path):
    path = tmp_path / 'm.mat'
    savemat(
        path,
        dict(GTcls=dict(Segmentation=np.zeros((9000, 9000), np.uint8))),
        do_compression=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match='cut off, or too large'):
        decode_sbd_mask(path.read_bytes(), 'm.mat')


@pytest.mark.parametrize('variables', [
    dict(other=MASK),
    dict(GTcls=MASK),
    dict(GTcls=dict(Boundaries=MASK)),
    dict(GTinst=dict(Segmentation=MASK)),
    dict(GTcls=[]),
])
def test_other_variables(tmp_path, variables):
    content = mat_file(tmp_path / 'm.mat', **variables)
    with pytest.raises(ValueError, match='m.mat: cannot be read .*GTcls.Segm'):
        decode_sbd_mask(content, 'm.mat')


@pytest.mark.parametrize('mask, message', [
    (MASK.astype(float), 'is float64 of shape'),
    (MASK.astype(np.int16), 'is int16 of shape'),
    (np.stack([MASK] * 3, 2), r'is uint8 of shape \(25, 35, 3\)'),
    (MASK[:0], r'of shape \(0, 35\)'),
    (MASK + 1, 'm.mat: found the value 21'),
    (np.full((3, 4), 255, np.uint8), 'found the value 255'),
    ('text', 'expected uint8'),
])
def test_other_masks(tmp_path, mask, message):
    content = mat_file(tmp_path / 'm.mat', GTcls=dict(Segmentation=mask))
    with pytest.raises(ValueError, match=message):
        decode_sbd_mask(content, 'm.mat')


@pytest.mark.parametrize(
    'content', [b'', b'text' * 100, b'\x89HDF\r\n\x1a\n' + bytes(600)])
def test_another_kind_of_file(content):
    with pytest.raises(ValueError, match='m.mat: cannot be read as a mask'):
        decode_sbd_mask(content, 'm.mat')
