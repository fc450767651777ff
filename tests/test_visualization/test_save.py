# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Pictures on disk: whole files that keep to their size."""
import cv2
import numpy as np
import pytest

from mmseg_afa.visualization import save_picture


@pytest.fixture
def noisy():
    """A picture that does not compress: 200 x 300 x 3 bytes as PNG."""
    return np.random.default_rng(0).integers(
        0, 256, (200, 300, 3), dtype=np.uint8)


def test_png_is_exact(noisy, tmp_path):
    path = tmp_path / 'new' / 'folder' / 'sheet.png'
    save_picture(path, noisy)
    assert (cv2.imread(str(path)) == noisy).all()


@pytest.mark.parametrize('name', ['a.jpg', 'a.JPEG'])
def test_jpeg_keeps_the_size_of_the_picture(name, noisy, tmp_path):
    save_picture(str(tmp_path / name), noisy)
    assert cv2.imread(str(tmp_path / name)).shape == noisy.shape


@pytest.mark.parametrize('name', ['sheet.png', 'sheet.jpg'])
@pytest.mark.parametrize('max_bytes', [200_000, 60_000, 10_000])
def test_size_limit(name, max_bytes, noisy, tmp_path):
    path = tmp_path / name
    save_picture(path, noisy, max_bytes=max_bytes)
    size = path.stat().st_size
    assert 0.25 * max_bytes < size <= max_bytes
    height, width = cv2.imread(str(path)).shape[:2]
    assert abs(height / width - 2 / 3) < 0.02


def test_jpeg_gives_up_quality_before_size(noisy, tmp_path):
    save_picture(tmp_path / 'best.jpg', noisy)
    best = (tmp_path / 'best.jpg').stat().st_size
    save_picture(tmp_path / 'less.jpg', noisy, max_bytes=best - 1)
    assert (tmp_path / 'less.jpg').stat().st_size < best
    assert cv2.imread(str(tmp_path / 'less.jpg')).shape == noisy.shape


def test_impossible_limit_writes_nothing(noisy, tmp_path):
    with pytest.raises(ValueError, match='sheet.png cannot be kept to 50'):
        save_picture(tmp_path / 'sheet.png', noisy, max_bytes=50)
    assert not list(tmp_path.iterdir())


def test_unknown_suffix(noisy, tmp_path):
    with pytest.raises(ValueError, match='sheet.bmp must end in .png'):
        save_picture(tmp_path / 'sheet.bmp', noisy)


def test_bad_picture(tmp_path):
    with pytest.raises(TypeError, match='sheet must be a uint8 array'):
        save_picture(tmp_path / 'sheet.png', np.zeros((4, 4, 3)))


def test_interrupted_write_keeps_the_old_picture(noisy, tmp_path, monkeypatch):
    path = tmp_path / 'sheet.png'
    save_picture(path, noisy)

    def fail(self, target):
        raise OSError('interrupted')

    monkeypatch.setattr('pathlib.Path.replace', fail)
    with pytest.raises(OSError, match='interrupted'):
        save_picture(path, noisy[:10])
    assert [entry.name for entry in tmp_path.iterdir()] == ['sheet.png']
    assert cv2.imread(str(path)).shape == noisy.shape
