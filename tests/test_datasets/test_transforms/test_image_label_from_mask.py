# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mmseg_afa.datasets.transforms import ImageLabelFromMask
from mmseg_afa.utils import UserError


@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2)),
    st.integers(2, 255))
def test_one_for_each_class_in_the_mask(mask, num_classes):
    results = ImageLabelFromMask()(
        dict(gt_seg_map=mask, num_classes=num_classes))
    wanted = [int(c in mask) for c in range(1, num_classes)]
    assert results['image_label'].dtype == np.uint8
    assert results['image_label'].tolist() == wanted


def test_what_is_missing_is_named():
    with pytest.raises(UserError, match='Put LoadMask before it'):
        ImageLabelFromMask()(dict(num_classes=3, seg_fields=[]))
    with pytest.raises(UserError, match='Set num_classes'):
        ImageLabelFromMask()(dict(gt_seg_map=np.zeros((1, 1), np.uint8)))


def test_a_single_photo_passes():
    assert ImageLabelFromMask()(dict(img_path='a')) == dict(img_path='a')
