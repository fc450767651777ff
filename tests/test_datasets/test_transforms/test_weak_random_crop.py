# Copyright (c) mmseg_afa contributors. All rights reserved.
"""test_training_pipeline.py compares the pixels of crops."""
import numpy as np

from mmseg_afa.datasets.transforms import WeakRandomCrop


def test_every_position_is_as_likely():
    np.random.seed(0)
    columns = np.arange(8, dtype=np.uint8)
    image = np.broadcast_to(columns[:, None], (4, 8, 3))
    crop = WeakRandomCrop((8, 4))
    drawn = [crop(dict(img=image)) for _ in range(2000)]
    tops = np.bincount([results['img_box'][0] for results in drawn])
    lefts = np.bincount(
        [results['img'][results['img_box'][0], 0, 0] for results in drawn])
    for counts in (tops, lefts):
        assert counts.shape == (5, )
        assert abs(counts - 400).max() < 80  # 4.5 standard deviations


def test_the_image_is_copied():
    """Keep no view, which would hold the whole image in memory."""
    image = np.ones((9, 9, 3), np.uint8)
    results = WeakRandomCrop(4)(dict(img=image))
    assert not np.shares_memory(results['img'], image)
    assert results['img_shape'] == results['pad_shape'] == (4, 4)
    assert all(type(edge) is int for edge in results['img_box'])
