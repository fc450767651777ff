# Copyright (c) mmseg_afa contributors. All rights reserved.
import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmseg_afa.datasets.image_files import IMAGE_SUFFIXES
from mmseg_afa.datasets.transforms import LoadWeakImage, load_image
from mmseg_afa.datasets.transforms.load_image import (BrokenImageError,
                                                      jpeg_is_complete, to_bgr)

RGB = (200, 100, 50)
GRAY = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)


def image(mode='RGB', height=12, width=20):
    return Image.new('RGB', (width, height), RGB).convert(mode)


def jpeg(picture=None, **options):
    buffer = io.BytesIO()
    (picture or noise()).save(buffer, 'JPEG', **options)
    return buffer.getvalue()


def noise(height=40, width=60):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def load(path):
    return LoadWeakImage()(dict(img_path=str(path)))


@pytest.mark.parametrize('name, mode, colour', [
    ('a.jpg', 'RGB', RGB),
    ('a.jpg', 'L', (GRAY, ) * 3),
    ('a.jpg', 'CMYK', RGB),
    ('a.png', 'LA', (GRAY, ) * 3),
    ('a.png', 'transparent', RGB),
    ('a.png', 'P', RGB),
    ('a.png', '1', (255, ) * 3),
])
def test_every_colour_type_becomes_bgr(tmp_path, name, mode, colour):
    if mode == '1':
        picture = Image.new('1', (20, 12), 1)
    elif mode == 'transparent':
        picture = Image.new('RGBA', (20, 12), RGB + (0, ))
    else:
        picture = image().quantize() if mode == 'P' else image(mode)
    picture.save(tmp_path / name)
    results = load(tmp_path / name)
    assert results['img'].dtype == np.uint8
    assert results['img'].shape == (12, 20, 3)
    assert results['img_shape'] == results['ori_shape'] == (12, 20)
    difference = results['img'].astype(int) - colour[::-1]
    assert abs(difference).max() <= 2


@pytest.mark.parametrize('content, message', [
    (b'', 'cut off after 0 bytes'),
    (b'<html>404</html>', 'unknown format, or damaged'),
    (jpeg()[:-2], 'cut off after'),
    (b'\xff\xd8\xff\xd9', 'unknown format, or damaged'),
])
def test_broken(tmp_path, content, message):
    (tmp_path / 'a.jpg').write_bytes(content)
    path = tmp_path / 'a.jpg'
    with pytest.raises(
            BrokenImageError,
            match=f'{path}: cannot be decoded .{message}.*download it again'):
        load(path)


@pytest.mark.parametrize('options', [
    dict(),
    dict(progressive=True),
    dict(restart_marker_blocks=1),
    dict(comment=b'\xff\xd9'),
])
def test_any_cut_is_noticed(options):
    content = jpeg(**options)
    assert jpeg_is_complete(content)
    assert jpeg_is_complete(content + b'\0\xff\xda garbage')
    assert not any(jpeg_is_complete(content[:n]) for n in range(len(content)))


def test_the_end_of_a_thumbnail_is_not_the_end():
    thumbnail, content = jpeg(image()), jpeg()
    segment = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    content = content[:2] + segment + content[2:]
    assert jpeg_is_complete(content)
    assert not jpeg_is_complete(content[:-2])


@pytest.mark.parametrize('orientation', [1, 3, 4, 6, 7])
def test_photos_come_upright(tmp_path, orientation):
    """As Pillow's exif_transpose turns them, sides swapped from 5 on."""
    exif = Image.Exif()
    exif[0x112] = orientation
    smooth = noise(3, 4).resize((40, 24), Image.BILINEAR)
    smooth.save(tmp_path / 'a.jpg', quality=100, subsampling=0, exif=exif)
    with Image.open(tmp_path / 'a.jpg') as stored:
        upright = np.array(ImageOps.exif_transpose(stored))
    results = load(tmp_path / 'a.jpg')
    assert results['img_shape'] == ((24, 40) if orientation < 5 else (40, 24))
    difference = results['img'][..., ::-1].astype(int) - upright
    assert abs(difference).max() <= 2


@pytest.mark.parametrize('suffix', ['png', 'tif'])
@pytest.mark.parametrize('channels', [1, 3])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, suffix, channels):
    eight = np.arange(240, dtype=np.uint8).reshape(8, 10, 3)[..., :channels]
    path = tmp_path / f'a.{suffix}'
    assert cv2.imwrite(str(path), eight.astype(np.uint16) * 257)
    expected = np.broadcast_to(eight, (8, 10, 3))
    np.testing.assert_array_equal(load(path)['img'], expected)


@pytest.mark.parametrize('name, options', [
    ('a.webp', dict(lossless=True)),
    ('a.tif', dict(compression='tiff_lzw')),
    ('a b \u00e9\u732b.png', dict()),
])
def test_lossless_formats_and_names(tmp_path, name, options):
    noise().save(tmp_path / name, **options)
    np.testing.assert_array_equal(
        load(tmp_path / name)['img'][..., ::-1], np.array(noise()))


@pytest.mark.parametrize('suffix', ['png', 'webp', 'tif'])
def test_other_formats_cut_off(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    noise().save(path)
    content = path.read_bytes()
    path.write_bytes(content[:2 * len(content) // 3])
    with pytest.raises(BrokenImageError, match=f'a.{suffix}: cannot be deco'):
        load(path)


@pytest.mark.parametrize('suffix', ['jpe', 'jfif', 'jp2', 'gif', 'pnm'])
def test_rarer_suffixes(tmp_path, suffix):
    assert f'.{suffix}' in IMAGE_SUFFIXES
    path = tmp_path / f'a.{suffix}'
    encoder = dict(jfif='.jpg').get(suffix, f'.{suffix}')
    photo = np.array(noise(4, 6).resize((60, 40), Image.BILINEAR))
    path.write_bytes(cv2.imencode(encoder, photo)[1].tobytes())
    assert abs(load(path)['img'].astype(int) - photo).mean() < 16
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BrokenImageError, match='cannot be decoded'):
        load(path)


@pytest.fixture
def said(monkeypatch):
    said = []
    monkeypatch.setattr(LoadWeakImage, 'warned', False)
    monkeypatch.setattr(load_image, 'print_log',
                        lambda text, **_: said.append(text))
    return said


@pytest.mark.parametrize('suffix, bits', [('png', 10), ('tif', 14)])
def test_few_of_sixteen_bits(tmp_path, said, suffix, bits):
    """Name the first file that is nearly black."""
    path = str(tmp_path / f'a.{suffix}')
    values = np.array(noise()).astype(np.uint16) << bits - 8
    cv2.imwrite(path, values)
    for _ in range(2):
        load(path)
    assert len(said) == 1
    assert f'{path}: found uint16 values from {values.min()} to ' in said[0]
    assert f'{values.max()} of 65535, so it is nearly black' in said[0]


@pytest.mark.parametrize('pixels', [
    np.zeros((8, 8, 3), np.uint8),
    np.zeros((8, 8, 3), np.uint16),
    np.full((8, 8, 3), 2**14 + 256, np.uint16),
])
def test_dark_photos(tmp_path, said, pixels):
    cv2.imwrite(str(tmp_path / 'a.png'), pixels)
    load(tmp_path / 'a.png')
    assert not said


@pytest.mark.parametrize('dtype', [np.float32, np.float64, np.int32])
def test_other_types_of_pixels(tmp_path, dtype):
    path = tmp_path / 'a.tif'
    cv2.imwrite(str(path), np.array(noise()).astype(dtype))
    with pytest.raises(
            BrokenImageError,
            match=f'found {np.dtype(dtype)} values from 0 to 255. .*save it '
            'as RGB with 8 bits, or rem'):
        load(path)


@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA'])
def test_arrays_as_files(tmp_path, mode):
    picture = noise().convert(mode)
    picture.save(tmp_path / 'a.png')
    array = cv2.imread(str(tmp_path / 'a.png'), cv2.IMREAD_UNCHANGED)
    expected = load(tmp_path / 'a.png')['img']
    np.testing.assert_array_equal(to_bgr(array), expected)
    if mode == 'L':
        np.testing.assert_array_equal(to_bgr(array[..., None]), expected)


@pytest.mark.parametrize('array', [
    np.zeros((8, 9, 3)),
    np.zeros((8, 9, 2), np.uint8),
    np.zeros((8, 9, 3), np.uint16),
    np.zeros((0, 9, 3), np.uint8),
    np.zeros(9, np.uint8)
])
def test_other_arrays(array):
    with pytest.raises(BrokenImageError) as error:
        to_bgr(array)
    assert f'array of {array.dtype} {array.shape}, expected uint8' in str(
        error.value)
