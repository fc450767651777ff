# Copyright (c) mmseg_afa contributors. All rights reserved.
"""New photos, mmseg's own inference functions, and the shipped configs."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.apis import MMSegInferencer
from mmseg.apis.utils import _preprare_data

from tests.test_reference.reference import ROOT

# one of each test pipeline that ships
CONFIGS = [
    ROOT / 'configs' / name
    for name in ('afa/afa_mit-b0_demo.py', 'afa/afa_mit-b1_coco.py',
                 'afa/afa_mit-b1_own-data.py', 'afa/afa_mit-b0_voc6.py',
                 'mix/wsss-head_resnet50_voc.py')
]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / 'photo.jpg'
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), rng.integers(0, 256, (48, 80, 3), np.uint8))
    return path


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_pipelines(path, photo):
    """Photos pass the test pipeline of each config, with no mask at hand."""
    init_default_scope('mmseg')
    array = cv2.imread(str(photo))
    for image in (str(photo), array):
        model = SimpleNamespace(cfg=Config.fromfile(path))
        data, _ = _preprare_data(image, model)
        sample, = data['data_samples']
        assert sample.ori_shape == (48, 80)
        assert 'gt_sem_seg' not in sample and 'image_label' not in sample

        inferencer = MMSegInferencer.__new__(MMSegInferencer)
        packed = inferencer._init_pipeline(Config.fromfile(path))(image)
        assert torch.equal(packed['inputs'], data['inputs'][0])
