# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmseg.datasets.transforms import PackSegInputs

from mmseg_afa.datasets.transforms import PackWeakSegInputs


def sample(**kwargs):
    img = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    label = np.array([0, 1, 1], np.uint8)
    return dict(img=img, img_path='i.jpg', image_label=label, **kwargs)


def test_pack():
    packed = PackWeakSegInputs()(sample(img_box=(1, 2, 0, 3)))
    assert packed['inputs'].dtype == torch.uint8
    assert packed['inputs'].shape == (3, 2, 4)
    assert packed['inputs'][:, 0, 1].tolist() == [3, 4, 5]
    data_sample = packed['data_samples']
    assert data_sample.image_label.dtype == torch.float32
    assert data_sample.image_label.tolist() == [0, 1, 1]
    assert data_sample.metainfo['img_box'] == (1, 2, 0, 3)
    assert data_sample.img_path == 'i.jpg'


def test_without_crop_and_label():
    results = sample()
    del results['image_label']
    data_sample = PackWeakSegInputs()(results)['data_samples']
    assert data_sample.img_box == (0, 2, 0, 4)
    assert 'image_label' not in data_sample


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31 - 1))
def test_same_as_packed_by_mmseg(height, width, seed):
    rng = np.random.default_rng(seed)
    img = rng.integers(0, 256, (height, width, 3), np.uint8)
    for view in (img, img[:, ::-1], img[::2]):
        own = PackWeakSegInputs()(dict(img=view, img_path='i.jpg'))
        copy = view.copy()
        mmseg = PackSegInputs()(dict(img=copy, img_path='i.jpg'))
        assert torch.equal(own['inputs'], mmseg['inputs'])
        assert own['inputs'].is_contiguous()
