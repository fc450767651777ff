# Copyright (c) mmseg_afa contributors. All rights reserved.
"""New photos, mmseg's own inference functions, and the shipped configs."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import save_checkpoint
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.apis.utils import _preprare_data

from tests.test_reference.reference import ROOT

# one of each test pipeline that ships
CONFIGS = [
    ROOT / 'configs' / name
    for name in ('afa/afa_mit-b0_demo.py', 'afa/afa_mit-b1_coco.py',
                 'afa/afa_mit-b1_own-data.py', 'afa/afa_mit-b0_voc6.py',
                 'mix/wsss-head_resnet50_voc.py')
]
DEMO = ROOT / 'configs/afa/afa_mit-b0_demo.py'


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


@pytest.fixture
def checkpoint(tmp_path):
    """As training writes it."""
    torch.manual_seed(0)
    model = init_model(str(DEMO), device='cpu')
    path = str(tmp_path / 'iter_1.pth')
    meta = dict(
        dataset_meta=dict(
            classes=('background', 'a', 'b', 'c', 'd', 'e'),
            palette=[[10 * i] * 3 for i in range(6)]))
    save_checkpoint(dict(meta=meta, state_dict=model.state_dict()), path)
    return path


def test_one_photo_three_ways(photo, checkpoint, tmp_path):
    model = init_model(str(DEMO), checkpoint, device='cpu')
    sample = inference_model(model, str(photo))
    expected = sample.pred_sem_seg.data[0].numpy()
    assert expected.shape == (48, 80)
    same = inference_model(model, cv2.imread(str(photo)))
    assert (same.pred_sem_seg.data[0].numpy() == expected).all()

    inferencer = MMSegInferencer(str(DEMO), checkpoint, device='cpu')
    out = inferencer(str(photo), out_dir=str(tmp_path), show=False)
    assert (out['predictions'] == expected).all()
    assert (tmp_path / 'vis').is_dir()
