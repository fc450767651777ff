# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import pytest

from mmseg_afa.datasets.transforms import RandomScale


def sample(height, width):
    return dict(
        img=np.full((height, width, 3), 7, np.uint8),
        gt_seg_map=np.full((height, width), 2, np.uint8),
        seg_fields=['gt_seg_map'])


@pytest.mark.parametrize('ratio, shape, wanted', [
    (0.5, (101, 200), (51, 100)),
    (2.0, (101, 200), (202, 400)),
    (0.5, (1, 3), (1, 2)),
    (0.1, (1, 3), (1, 1)),
    (0.5, (40000, 2), (20000, 1)),
])
def test_rounding(ratio, shape, wanted):
    results = RandomScale((ratio, ratio))(sample(*shape))
    assert results['img_shape'] == results['gt_seg_map'].shape == wanted
    assert results['img'].shape == (*wanted, 3)
    assert results['scale_factor'] == (wanted[1] / shape[1],
                                       wanted[0] / shape[0])


def test_the_factor_is_uniform():
    np.random.seed(0)
    scale = RandomScale((0.5, 2.0))
    factors = [scale(sample(100, 1))['img_shape'][0] for _ in range(2000)]
    counts, _ = np.histogram(factors, bins=5, range=(50, 200))
    assert abs(counts - 400).max() < 80  # 4.5 standard deviations


def test_masks_get_no_new_values():
    results = sample(9, 9)
    results['gt_seg_map'][:, 4:] = 20
    results['img'][:, 4:] = 200
    scaled = RandomScale((1.7, 1.7))(results)
    assert np.unique(scaled['gt_seg_map']).tolist() == [2, 20]
    assert len(np.unique(scaled['img'])) > 2
