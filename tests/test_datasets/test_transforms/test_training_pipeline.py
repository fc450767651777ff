# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The transforms of training together, against the straightforward way."""
import mmcv
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose, RandomFlip

from mmseg_afa.datasets.transforms import (PackWeakSegInputs, RandomScale,
                                           WeakRandomCrop)

side = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
directions = st.sampled_from(['horizontal', 'vertical', 'diagonal'])


def sample(height, width, seed):
    """Make a random image without black, its mask and its label."""
    rng = np.random.default_rng(seed)
    return dict(
        img=rng.integers(1, 256, (height, width, 3), np.uint8),
        gt_seg_map=rng.integers(0, 21, (height, width), np.uint8),
        seg_fields=['gt_seg_map'],
        image_label=rng.integers(0, 2, 20, np.uint8))


def shipped(results, flip, crop_size):
    pipeline = Compose([
        RandomScale((0.5, 2.0)), flip,
        WeakRandomCrop(crop_size),
        PackWeakSegInputs()
    ])
    packed = pipeline(results)
    return packed['inputs'], packed['data_samples']


def straightforward(results, flip, crop_size):
    """Do the same with a copy at each step and no tricks."""
    ratio = np.random.uniform(0.5, 2.0)
    image, mask = results['img'], results['gt_seg_map']
    height, width = image.shape[:2]
    size = [max(1, int(n * ratio + 0.5)) for n in (width, height)]
    image = mmcv.imresize(image, size)
    mask = mmcv.imresize(mask, size, interpolation='nearest')
    flipped = flip(
        dict(
            img=image,
            gt_seg_map=mask,
            img_shape=image.shape[:2],
            seg_fields=['gt_seg_map']))
    image, mask = flipped['img'].copy(), flipped['gt_seg_map'].copy()
    shifts = [
        np.random.randint(abs(n - crop) + 1)
        for n, crop in zip(image.shape, crop_size)
    ]
    box = []
    for axis, (crop, shift) in enumerate(zip(crop_size, shifts)):
        length = image.shape[axis]
        if length >= crop:
            kept = np.arange(shift, shift + crop)
            image, mask = image.take(kept, axis), mask.take(kept, axis)
            box += [0, crop]
        else:
            padding = [(0, 0)] * 3
            padding[axis] = shift, crop - length - shift
            image = np.pad(image, padding)
            mask = np.pad(mask, padding[:2], constant_values=255)
            box += [shift, shift + length]
    return image.transpose(2, 0, 1).copy(), mask, tuple(box)


@settings(deadline=None)
@given(side, side, side, side, directions, seeds)
def test_the_same_pixels(height, width, crop_h, crop_w, direction, seed):
    crop_size = crop_h, crop_w
    flip = RandomFlip(prob=0.5, direction=direction)
    np.random.seed(seed)
    inputs, data_sample = shipped(sample(height, width, seed), flip, crop_size)
    next_draw = np.random.rand()
    np.random.seed(seed)
    image, mask, box = straightforward(
        sample(height, width, seed), flip, crop_size)
    assert np.random.rand() == next_draw  # as many numbers were drawn

    assert inputs.dtype == torch.uint8 and inputs.is_contiguous()
    np.testing.assert_array_equal(inputs, image)
    np.testing.assert_array_equal(data_sample.gt_sem_seg.data[0], mask)
    assert data_sample.img_box == box
    assert data_sample.image_label.tolist() == sample(
        height, width, seed)['image_label'].tolist()


@pytest.mark.parametrize('ratio, shape, wanted', [
    (0.5, (101, 200), (51, 100)),
    (2.0, (101, 200), (202, 400)),
    (0.1, (1, 3), (1, 1)),
])
def test_rounding(ratio, shape, wanted):
    results = RandomScale((ratio, ratio))(sample(*shape, 0))
    assert results['img_shape'] == results['gt_seg_map'].shape == wanted
    assert results['img'].shape == (*wanted, 3)
    assert results['scale_factor'] == (wanted[1] / shape[1],
                                       wanted[0] / shape[0])


def test_without_crop_and_label():
    results = sample(2, 4, 0)
    del results['image_label']
    data_sample = PackWeakSegInputs()(results)['data_samples']
    assert data_sample.img_box == (0, 2, 0, 4)
    assert 'image_label' not in data_sample
