# Copyright (c) mmseg_afa contributors. All rights reserved.
from types import SimpleNamespace
from unittest import mock

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS, init_default_scope
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch import nn

from mmseg_afa.engine.hooks import PARRefinementHook
from mmseg_afa.models import PAR, PseudoLabeler
from tests.test_tools.test_train_and_test import CONFIG, data_root

__all__ = ['data_root']


def tiny_runner(data_root, tmp_path, refine):
    """A plain SegFormer on a dozen random images."""
    cfg = Config.fromfile(CONFIG)
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = str(data_root)
    cfg.work_dir = str(tmp_path)
    cfg.default_hooks.checkpoint.save_best = None
    cfg.experiment_name = f'{tmp_path.name}-{refine}'
    cfg.custom_hooks = [
        dict(
            type='PARRefinementHook',
            refiner=dict(type='PAR', num_iter=2),
            refine_predictions=refine)
    ]
    runner = Runner.from_cfg(cfg)
    # an untrained head answers the same class everywhere
    torch.nn.init.normal_(runner.model.decode_head.conv_seg.weight, std=30)
    return runner


@pytest.mark.parametrize('refine', [False, True])
def test_predictions(data_root, tmp_path, refine):
    """Metrics of any segmentor see what PAR makes of the softmax, on the
    image in grey levels, if asked for."""
    runner = tiny_runner(data_root, tmp_path, refine)
    loop = runner._val_loop = runner.build_val_loop(runner._val_loop)
    process = loop.evaluator.process
    with mock.patch.object(loop.evaluator, 'process', wraps=process) as spy:
        runner.val()
    samples = [call.kwargs['data_samples'][0] for call in spy.mock_calls]
    assert len(samples) == 12
    same = changed = 0
    for sample in samples:
        image = torch.from_numpy(cv2.imread(sample.img_path)[..., ::-1].copy())
        image = image.permute(2, 0, 1)[None].float() / 255
        prob = sample.seg_logits.data[None].softmax(1)
        pred = sample.pred_sem_seg.data
        same += (pred == PAR(num_iter=2)(image, prob).argmax(1)).float().mean()
        changed += (pred != prob.argmax(1)).sum()
    assert same > 0.999 * 12 if refine else changed == 0
    assert (changed > 0) == refine
    assert not runner.model._forward_hooks


def test_nothing_to_do(data_root, tmp_path):
    runner = tiny_runner(data_root, tmp_path, False)
    with pytest.raises(
            TypeError,
            match='EncoderDecoder makes no pseudo label'
            '.*refine_predictions=True'):
        runner.train()


class Wrapper(nn.Module):
    """As a distributed wrapper holds a model."""

    def __init__(self, module):
        super().__init__()
        self.module = module


@pytest.fixture
def wrapper(monkeypatch):
    monkeypatch.setitem(MODEL_WRAPPERS._module_dict, 'Wrapper', Wrapper)
    return Wrapper


@pytest.mark.parametrize('has, refine_predictions, iterations', [
    (None, False, 15),
    (None, True, 15),
    (10, False, 15),
    (10, True, 10),
])
def test_refiner_of_the_labeler(wrapper, has, refine_predictions, iterations):
    """Old configs, whose hook brings the refiner, train as before."""
    model = nn.Module()
    model.labeler = PseudoLabeler(refiner=has and PAR(num_iter=has))
    hook = PARRefinementHook(dict(type='PAR', num_iter=15), refine_predictions)
    hook.before_run(SimpleNamespace(model=wrapper(model)))
    assert model.labeler.refiner.num_iter == iterations


@pytest.mark.parametrize('distributed', [False, True])
def test_not_with_augmentation(wrapper, distributed):
    """Also in distributed testing, where the model is wrapped."""
    init_default_scope('mmseg')
    tiny = Config.fromfile(CONFIG)
    model = MODELS.build(dict(type='SegTTAModel', module=tiny.model))
    runner = SimpleNamespace(model=wrapper(model) if distributed else model)
    hook = PARRefinementHook(refine_predictions=True)
    hook.before_run(runner)
    with pytest.raises(TypeError, match='leave out --tta'):
        hook.before_test(runner)
