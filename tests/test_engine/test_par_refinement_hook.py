# Copyright (c) mmseg_afa contributors. All rights reserved.
import copy
from types import SimpleNamespace
from unittest import mock

import cv2
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_afa.engine.hooks import PARRefinementHook
from mmseg_afa.models import PAR, DenseCRF
from mmseg_afa.models.segmentors.maps import predict_step
from tests.test_tools.test_train_and_test import CONFIG, data_root

__all__ = ['data_root']


def tiny_runner(data_root, tmp_path, tta=False):
    """Build a plain SegFormer on a dozen random images, four in a batch."""
    cfg = Config.fromfile(CONFIG)
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = str(data_root)
    cfg.val_dataloader.batch_size = cfg.test_dataloader.batch_size = 4
    cfg.work_dir, cfg.experiment_name = str(tmp_path), tmp_path.name
    # predictions of a random network that differ from pixel to pixel
    cfg.randomness = dict(seed=5)
    cfg.default_hooks.checkpoint.save_best = None
    cfg.custom_hooks = [
        dict(type='PARRefinementHook', refiner=dict(type='PAR', num_iter=2))
    ]
    if tta:
        cfg.model = dict(type='MultiScaleMaxTTA', module=cfg.model)
    runner = Runner.from_cfg(cfg)
    # an untrained head answers the same class everywhere
    model = runner.model.module if tta else runner.model
    nn.init.normal_(model.decode_head.conv_seg.weight, std=30)
    return runner


@pytest.mark.parametrize('part, tta', [('val', False), ('test', True)])
def test_predictions(data_root, tmp_path, part, tta):
    """Score what PAR makes of the softmax and the image in grey levels."""
    runner = tiny_runner(data_root, tmp_path, tta)
    if part == 'val':
        loop = runner._val_loop = runner.build_val_loop(runner._val_loop)
    else:
        loop = runner._test_loop = runner.build_test_loop(runner._test_loop)
    process = loop.evaluator.process
    with mock.patch.object(loop.evaluator, 'process', wraps=process) as spy:
        getattr(runner, part)()
    samples = sum((call.kwargs['data_samples'] for call in spy.mock_calls), [])
    assert len(samples) == 12
    same = changed = 0
    for sample in samples:
        image = torch.from_numpy(cv2.imread(sample.img_path))
        image = image.permute(2, 0, 1)[None].float() / 255
        prob = sample.seg_logits.data[None].softmax(1)
        pred = sample.pred_sem_seg.data
        same += (pred == PAR(num_iter=2)(image, prob).argmax(1)).float().mean()
        changed += (pred != prob.argmax(1)).sum()
    assert same > 0.999 * 12 and changed > 0


def test_photos_as_taken():
    """The refiner gets photos without padding and flip, and probabilities."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIG)
    model = MODELS.build(cfg.model).eval()
    photo = torch.rand(3, 32, 48)
    meta = dict(
        flip=True,
        flip_direction='horizontal',
        padding_size=(8, 8, 0, 32),
        ori_shape=(32, 48),
        img_shape=(64, 64))
    refiner = mock.Mock(spec=['refine_all'])
    refiner.refine_all = mock.Mock(
        side_effect=lambda images, masks: [1 - mask for mask in masks])
    sample = SegDataSample(metainfo=meta)
    out, = predict_step(
        model,
        dict(
            inputs=[F.pad(255 * photo.flip(-1), (8, 8, 0, 32))],
            data_samples=[sample]),
        refiner=refiner)
    (image, ), (mask, ) = refiner.refine_all.call_args.args
    torch.testing.assert_close(image, photo)
    torch.testing.assert_close(mask, out.seg_logits.data.softmax(0))
    assert torch.equal(out.pred_sem_seg.data, mask.argmin(0, True))


def test_one_output():
    """A model with one output gets mmseg's threshold as a second."""
    init_default_scope('mmseg')
    cfg = Config.fromfile(CONFIG)
    cfg.model.decode_head.update(num_classes=2, out_channels=1, threshold=0.4)
    cfg.model.decode_head.loss_decode = dict(
        type='CrossEntropyLoss', use_sigmoid=True)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    data = dict(
        inputs=[torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)],
        data_samples=[
            SegDataSample(
                metainfo=dict(ori_shape=(64, 64), img_shape=(64, 64)))
        ])
    nn.init.normal_(model.decode_head.conv_seg.weight, std=30)
    with torch.no_grad():
        expected, = model.test_step(copy.deepcopy(data))
    found, = predict_step(model, data)
    assert 0 < expected.pred_sem_seg.data.float().mean() < 1
    same = found.pred_sem_seg.data == expected.pred_sem_seg.data
    assert same.float().mean() > 0.999


def test_dense_crf(data_root, tmp_path):
    """Its workers refine a batch."""
    pytest.importorskip('pydensecrf')
    runner = tiny_runner(data_root, tmp_path)
    hook, = [h for h in runner.hooks if isinstance(h, PARRefinementHook)]
    hook.refiner = DenseCRF(num_workers=2)
    scores = runner.test()
    assert 0 <= scores['mIoU'] <= 100


def test_not_with_mmseg_augmentation():
    init_default_scope('mmseg')
    tiny = Config.fromfile(CONFIG)
    model = MODELS.build(dict(type='SegTTAModel', module=tiny.model))
    with pytest.raises(
            TypeError, match='SegTTAModel keeps.*MultiScaleMaxTTA.*--tta'):
        PARRefinementHook().before_run(SimpleNamespace(model=model))
