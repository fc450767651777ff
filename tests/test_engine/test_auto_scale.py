# Copyright (c) mmseg_afa contributors. All rights reserved.
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmseg_afa.engine.auto_scale import auto_scale
from tests.test_reference.reference import ROOT

VOC = Config.fromfile(ROOT / 'configs/afa/afa_mit-b1_voc.py')


def scaled(world_size, cfg=VOC, **options):
    cfg = copy.deepcopy(cfg)
    cfg.merge_from_dict(options)
    return cfg, auto_scale(cfg, world_size)


def test_the_published_number_of_images_changes_nothing():
    for world_size, batch_size in (1, 4), (2, 2), (4, 1):
        cfg, said = scaled(world_size,
                           **{'train_dataloader.batch_size': batch_size})
        cfg.train_dataloader.batch_size = 4
        assert said is None and cfg.to_dict() == VOC.to_dict()


def test_eight_processes():
    """The same images, in 2,500 iterations of 32."""
    cfg, said = scaled(8)
    assert cfg.train_cfg == dict(
        type='IterBasedTrainLoop', max_iters=2500, val_interval=250)
    assert (cfg.model.train_cfg.cam_iters,
            cfg.model.train_cfg.switch_iter) == (250, 750)
    warm_up, fading = cfg.param_scheduler
    assert (warm_up.begin, warm_up.end) == (0, 189)
    assert (fading.begin, fading.end) == (188, 2501)
    assert cfg.default_hooks.checkpoint.interval == 250
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(6e-5 * 8**0.5)
    assert 'x 0.125, learning rate x 2.828 (square root)' in said
    assert auto_scale(cfg, 8) is None  # as dumped, and trained again


def test_fewer_images():
    cfg, _ = scaled(1, **{'train_dataloader.batch_size': 2})
    assert cfg.train_cfg.max_iters == 40000
    assert cfg.param_scheduler[0].end == 3001
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(6e-5 / 2**0.5)


@pytest.mark.parametrize('setting',
                         [None, dict(enable=True, base_batch_size=4)])
def test_left_as_it_is(setting):
    cfg = copy.deepcopy(VOC)
    cfg.auto_scale_lr = setting
    before = copy.deepcopy(cfg)
    assert auto_scale(cfg, 8) is None
    assert cfg.to_dict() == before.to_dict()


def test_others_schedules():
    """SGD's rate is linear; a hook of pictures comes as often."""
    cfg = Config(
        dict(
            auto_scale_lr=dict(base_batch_size=16),
            train_dataloader=dict(batch_size=8),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=100),
            model=dict(type='EncoderDecoder'),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
            custom_hooks=[
                dict(type='PseudoLabelVisualizationHook', interval=10),
                dict(type='EMAHook', interval=1)
            ],
            param_scheduler=dict(
                type='MultiStepLR', milestones=[30, 60], by_epoch=False)))
    assert 'linear' in auto_scale(cfg, 4)
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.02)
    assert cfg.train_cfg.max_iters == 50
    assert cfg.param_scheduler.milestones == [15, 30]
    assert [hook.interval for hook in cfg.custom_hooks] == [5, 1]


def test_schedule_in_epochs():
    cfg = Config(
        dict(
            auto_scale_lr=dict(base_batch_size=16),
            train_dataloader=dict(batch_size=8),
            train_cfg=dict(
                type='EpochBasedTrainLoop', max_epochs=10, val_interval=1),
            model=dict(type='EncoderDecoder'),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1.)),
            param_scheduler=[dict(type='LinearLR', begin=0, end=3)]))
    auto_scale(cfg, 8)
    assert cfg.optim_wrapper.optimizer.lr == 2
    assert cfg.train_cfg.val_interval == 1
    assert cfg.param_scheduler[0].end == 3


@given(st.integers(1, 64), st.integers(1, 8))
def test_no_image_less(world_size, batch_size):
    """Each border is at the iteration that has as many images behind it."""
    cfg, _ = scaled(world_size, **{'train_dataloader.batch_size': batch_size})
    total = world_size * batch_size
    warm_up, fading = cfg.param_scheduler
    for now, images in ((cfg.train_cfg.max_iters,
                         80000), (cfg.model.train_cfg.cam_iters,
                                  8000), (cfg.model.train_cfg.switch_iter,
                                          24000), (fading.begin, 6000),
                        (cfg.train_cfg.val_interval, 8000)):
        assert 0 <= now * total - images < total
    assert warm_up.end == fading.begin + 1
    assert fading.end == cfg.train_cfg.max_iters + 1
