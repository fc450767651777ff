# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import pytest

from mmseg_afa.datasets.transforms import ImageLabelFromMask, LoadMask
from mmseg_afa.utils import UserError
from ..voc_folder import write_mask

MASK = np.array([[0, 1, 2], [255, 2, 0]], np.uint8)


@pytest.fixture
def results(tmp_path):
    write_mask(tmp_path / 'm.png', MASK)
    return dict(
        img_path='i.jpg',
        seg_map_path=str(tmp_path / 'm.png'),
        ori_shape=(2, 3),
        num_classes=3,
        label_map=None,
        seg_fields=[])


def test_load(results):
    loaded = LoadMask()(results)
    np.testing.assert_array_equal(loaded['gt_seg_map'], MASK)
    assert loaded['gt_seg_map'].dtype == np.uint8
    assert loaded['seg_fields'] == ['gt_seg_map']


def test_label_map(results):
    results.update(num_classes=2, label_map={0: 0, 1: 255, 2: 1})
    np.testing.assert_array_equal(LoadMask()(results)['gt_seg_map'],
                                  [[0, 255, 1], [255, 1, 0]])
    results['label_map'] = {0: 1, 1: 0}
    with pytest.raises(ValueError, match=r'm.png: found the values \[2\]'):
        LoadMask()(results)


def test_another_shape(results):
    results['ori_shape'] = (3, 2)
    with pytest.raises(
            ValueError,
            match=r'm.png: its height and width are \(2, 3\), those of i.jpg '
            r'are \(3, 2\)'):
        LoadMask()(results)


def test_no_mask(results):
    results['seg_map_path'] += 'x'
    with pytest.raises(FileNotFoundError, match='m.pngx: no such mask'):
        LoadMask()(results)
    del results['seg_map_path']
    with pytest.raises(UserError, match='i.jpg has no mask'):
        LoadMask()(results)


def test_data_sets_without_a_number_of_classes(results):
    del results['num_classes']
    with pytest.raises(
            UserError, match='LoadMask: the data set does not say the num'):
        LoadMask()(results)
    LoadMask(num_classes=3)(results)


@pytest.mark.parametrize('num_classes, wanted', [
    (2, [1]),
    (5, [1, 1, 0, 0]),
])
def test_one_for_each_class_in_the_mask(num_classes, wanted):
    results = ImageLabelFromMask()(
        dict(gt_seg_map=MASK, num_classes=num_classes))
    assert results['image_label'].dtype == np.uint8
    assert results['image_label'].tolist() == wanted


@pytest.mark.parametrize('transform', [LoadMask(), ImageLabelFromMask()])
def test_a_single_photo_passes(transform):
    assert transform(dict(img_path='a')) == dict(img_path='a')
