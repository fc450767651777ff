# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmseg_afa.datasets.transforms import WeakRandomCrop

side = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)


def sample(height, width):
    """An image whose pixels tell where they are, from 1 on."""
    rows, cols = np.indices((height, width), np.uint8) + 1
    return dict(
        img=np.stack([rows, cols, np.ones_like(rows)], 2),
        gt_seg_map=cols - 1,
        seg_fields=['gt_seg_map'])


def inside(results):
    """The crop's part inside the box, and a mask of what is outside."""
    top, bottom, left, right = results['img_box']
    outside = np.ones(results['img'].shape[:2], bool)
    outside[top:bottom, left:right] = False
    return results['img'][top:bottom, left:right], outside


@given(side, side, side, side, seeds)
def test_the_box_is_a_part_of_the_image(height, width, crop_h, crop_w, seed):
    np.random.seed(seed)
    results = WeakRandomCrop((crop_h, crop_w))(sample(height, width))
    assert results['img'].shape == (crop_h, crop_w, 3)
    assert results['img'].dtype == np.uint8
    assert results['img_shape'] == results['pad_shape'] == (crop_h, crop_w)
    assert all(type(edge) is int for edge in results['img_box'])

    part, outside = inside(results)
    assert part.shape[:2] == (min(height, crop_h), min(width, crop_w))
    top, left = part[0, 0, :2].astype(int) - 1
    wanted = sample(height, width)['img'][top:top + part.shape[0],
                                          left:left + part.shape[1]]
    np.testing.assert_array_equal(part, wanted)

    assert not results['img'][outside].any()
    assert (results['gt_seg_map'][outside] == 255).all()
    np.testing.assert_array_equal(results['gt_seg_map'][~outside],
                                  results['img'][~outside][:, 1] - 1)


def test_every_place_is_as_likely():
    np.random.seed(0)
    crop = WeakRandomCrop((8, 4))
    drawn = [crop(sample(4, 8)) for _ in range(2000)]
    tops = np.bincount([results['img_box'][0] for results in drawn])
    lefts = np.bincount([inside(r)[0][0, 0, 1] - 1 for r in drawn])
    for counts in (tops, lefts):
        assert counts.shape == (5, )
        assert abs(counts - 400).max() < 80  # 4.5 standard deviations


def test_the_image_is_copied():
    """A crop that is a view would keep the whole image in memory."""
    image = np.ones((9, 9, 3), np.uint8)
    results = WeakRandomCrop(4)(dict(img=image))
    assert not np.shares_memory(results['img'], image)
