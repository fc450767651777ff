# Copyright (c) mmseg_afa contributors. All rights reserved.
import re

import numpy as np
import pytest
from PIL import Image

from mmseg_afa.datasets import PascalVOCWeakDataset
from mmseg_afa.datasets.mask_file import encode_mask, read_mask, voc_palette
from .voc_folder import write_mask

MASK = np.array([[0, 1, 2], [255, 2, 0]], np.uint8)


def save(path, array):
    Image.fromarray(array).save(path)
    return str(path)


@pytest.mark.parametrize('write, mask', [
    (write_mask, MASK),
    (save, MASK),
    (save, MASK == 1),
    (save, MASK.astype(np.uint16)),
])
def test_palette_grayscale_and_bits(tmp_path, write, mask):
    write(tmp_path / 'm.png', mask)
    found = read_mask(str(tmp_path / 'm.png'), 3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize(
    'array, message',
    [
        (MASK,
         'found the values [2], expected 0 to 1 for the 2 classes and 255'),
        # 256 would be background, and 257 class 1, after a cast to uint8
        (MASK.astype(np.uint16) + 256, 'found the values [256, 257, 258, 511]'
         ),
        (np.stack([MASK] * 3, 2), 'found shape (2, 3, 3), expected one'),
    ])
def test_wrong_content(tmp_path, array, message):
    path = save(tmp_path / 'm.png', array)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read_mask(path, 2)
    assert str(error.value).startswith(path)


@pytest.mark.parametrize('part', [0, 0.5, 0.95])
def test_cut_off(tmp_path, part):
    path = tmp_path / 'm.png'
    noise = np.random.default_rng(0).integers(0, 3, (50, 60), np.uint8)
    save(path, noise)
    content = path.read_bytes()
    path.write_bytes(content[:int(part * len(content))])
    with pytest.raises(ValueError, match='m.png: cannot be decoded'):
        read_mask(str(path), 3)


def test_encoded_masks_have_the_palette_of_voc(tmp_path):
    path = tmp_path / 'm.png'
    path.write_bytes(encode_mask(MASK))
    np.testing.assert_array_equal(read_mask(str(path), 3), MASK)
    with Image.open(path) as image:
        assert image.mode == 'P' and path.read_bytes()[24] == 8  # bits
        colours = np.array(image.convert('RGB'))
    palette = PascalVOCWeakDataset.METAINFO['palette']
    assert colours[0].tolist() == palette[:3]
    assert colours[1].tolist() == [[224, 224, 192], palette[2], [0, 0, 0]]


def test_the_palette_continues_that_of_voc():
    assert voc_palette(21) == PascalVOCWeakDataset.METAINFO['palette']
    assert len(set(map(tuple, voc_palette(256)))) == 256
