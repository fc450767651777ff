# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Images that break after the data set was built."""
import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from PIL import Image

from mmseg_afa.datasets import WeakLabelDataset
from mmseg_afa.datasets.transforms.load_image import BrokenImageError

PIPELINE = [
    dict(type='LoadWeakImage'),
    dict(type='WeakRandomCrop', crop_size=16),
    dict(type='PackWeakSegInputs')
]


@pytest.fixture
def make(tmp_path):
    """Write eight photos, and open them with options of the data set."""
    rng = np.random.default_rng(0)
    for i in range(8):
        pixels = rng.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'{i}.jpg')
    (tmp_path / 'labels.txt').write_text('\n'.join(
        ['# cat', *(f'{i}: cat' for i in range(8))]))

    def make(**kwargs):
        with DefaultScope.overwrite_default_scope('mmseg'):
            return WeakLabelDataset(
                data_root=str(tmp_path),
                data_prefix=dict(img_path=''),
                label_file='labels.txt',
                pipeline=PIPELINE,
                **kwargs)

    return make


def cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def shown(sample):
    return sample['data_samples'].img_path.rpartition('/')[2]


@pytest.mark.parametrize('options', [
    dict(),
    dict(broken_files='skip', test_mode=True),
])
def test_fatal_by_default_and_in_validation(make, tmp_path, options):
    dataset = make(**options)
    cut(tmp_path / '3.jpg')
    with pytest.raises(BrokenImageError, match='3.jpg: .*cut off after'):
        dataset[3]
    (tmp_path / '4.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='4.jpg: no such image'):
        dataset[4]


def test_skipped_and_counted(make, tmp_path):
    logger = MMLogger.get_instance(
        'broken_files', log_file=str(tmp_path / 'log.txt'))
    dataset = make(broken_files='skip')
    cut(tmp_path / '3.jpg')
    (tmp_path / '4.jpg').unlink()
    for _ in range(3):
        assert {shown(dataset[i])
                for i in (3, 4)}.isdisjoint({'3.jpg', '4.jpg'})
    assert shown(dataset[5]) == '5.jpg'
    for handler in logger.handlers:
        handler.flush()
    lines = (tmp_path / 'log.txt').read_text().splitlines()
    assert [line.rpartition('Skipped: ')[2] for line in lines
            ] == ['1 of 8 images so far.', '2 of 8 images so far.']
    assert '3.jpg: cannot be decoded (cut off' in lines[0]
    assert '4.jpg: no such image' in lines[1]


def test_too_many(make, tmp_path):
    dataset = make(broken_files='skip')
    for i in range(8):
        cut(tmp_path / f'{i}.jpg')
    with pytest.raises(ValueError, match='5 of 8 images cannot be read'):
        dataset[0]
