# Copyright (c) mmseg_afa contributors. All rights reserved.
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from mmseg_afa.engine import plan
from mmseg_afa.engine.classes import settle_classes
from mmseg_afa.models.segmentors.schedule import phase_of
from tests.test_reference.reference import ROOT

VOC = Config.fromfile(ROOT / 'configs/afa/afa_mit-b1_voc.py')
EIGHT = """\
This run
  images        32 an iteration: 8 processes x 4
  iterations    2,500, 80,000 images
  phases        0 to 250 classification, to 750 CAM labels, to 2499 refined \
labels
  learning rate 0.0001697 (AdamW), warm-up of 188 iterations
  validation    every 250
  precision     float32
  rescaled      iterations x 0.125, learning rate x 2.828 (square root), \
because the config is for 4 images an iteration. --no-auto-scale keeps the \
config
  affinity      radius of 8 cells on a grid of 48 x 48"""


def afa(**options):
    """Copy VOC's config, with some settings."""
    cfg = copy.deepcopy(VOC)
    cfg.merge_from_dict(options)
    return cfg


class TestAutoScale:

    def test_eight_processes(self):
        """Train on the same images in 2,500 iterations of 32."""
        cfg = afa()
        rescaled = plan.auto_scale(cfg, 8)
        assert plan.summarize(cfg, 8, rescaled) == EIGHT
        warm_up, fading = cfg.param_scheduler
        assert (warm_up.begin, warm_up.end) == (0, 189)
        assert (fading.begin, fading.end) == (188, 2501)
        assert cfg.default_hooks.checkpoint.interval == 250
        assert plan.auto_scale(cfg, 8) is None  # as the work folder has it

    @pytest.mark.parametrize(
        'world_size, options',
        [(2, {
            'train_dataloader.batch_size': 2
        }), (8, dict(auto_scale_lr=None)),
         (8, dict(auto_scale_lr=dict(enable=True, base_batch_size=4)))])
    def test_nothing_to_do(self, world_size, options):
        cfg = afa(**options)
        before = copy.deepcopy(cfg).to_dict()
        assert plan.auto_scale(cfg, world_size) is None
        assert cfg.to_dict() == before

    def test_accumulated_gradients(self):
        """Scale the rate by the images of a step of the optimizer."""
        cfg = afa(
            **{
                'train_dataloader.batch_size': 1,
                'optim_wrapper.accumulative_counts': 4
            })
        plan.auto_scale(cfg, 1)
        assert cfg.train_cfg.max_iters == 80000
        assert cfg.optim_wrapper.optimizer.lr == 6e-5
        assert '1 x 1, a step every 4 iterations' in plan.summarize(
            cfg, 1).replace('process ', '')

    def test_other_optimizers_and_hooks(self):
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
        assert 'linear' in plan.auto_scale(cfg, 4)
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.02)
        assert cfg.train_cfg.max_iters == 50
        assert cfg.param_scheduler.milestones == [15, 30]
        assert [hook.interval for hook in cfg.custom_hooks] == [5, 1]

    def test_epochs_are_kept(self):
        cfg = Config(
            dict(
                auto_scale_lr=dict(base_batch_size=16),
                train_dataloader=dict(batch_size=8),
                train_cfg=dict(
                    type='EpochBasedTrainLoop', max_epochs=10, val_interval=1),
                model=dict(type='EncoderDecoder'),
                optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1.)),
                param_scheduler=[dict(type='LinearLR', begin=0, end=3)]))
        plan.auto_scale(cfg, 8)
        assert cfg.optim_wrapper.optimizer.lr == 2
        assert cfg.train_cfg.val_interval == 1
        assert cfg.param_scheduler[0].end == 3

    @given(st.integers(1, 64), st.integers(1, 8))
    def test_no_image_less(self, world_size, batch_size):
        """Each border has as many images before it, rounded up."""
        cfg = afa(**{'train_dataloader.batch_size': batch_size})
        plan.auto_scale(cfg, world_size)
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


class TestChecks:

    @pytest.mark.parametrize('config, classes',
                             [('afa/afa_mit-b0_demo.py', 0),
                              ('afa/afa_mit-b1_own-data.py', 4),
                              ('afa/afa_mit-b1_coco.py', 81),
                              ('mix/afa_dinov2-base_voc.py', 21),
                              ('mix/par_deeplabv3plus-r50_voc.py', 21)])
    def test_configs_that_ship(self, tmp_path, monkeypatch, config, classes):
        """Only the demo has a warning: its crops have a small grid.

        The demo's label file, which is not there, lists its classes.
        """
        monkeypatch.chdir(tmp_path)
        cfg = Config.fromfile(ROOT / 'configs' / config)
        assert len(settle_classes(cfg) or ()) == classes
        warnings = plan.check_plan(cfg)
        assert ['labeler.radius' in text
                for text in warnings] == [True] * (not classes)

    @given(st.integers(1, 10**5), st.integers(0, 10**5), st.integers(0, 10**5))
    def test_phases(self, max_iters, cam_iters, more):
        """Follow the schedule of AFA itself."""
        schedule = dict(cam_iters=cam_iters, switch_iter=cam_iters + more)
        cfg = Config(
            dict(
                model=dict(
                    affinity_head=dict(type='AFAHead'), train_cfg=schedule),
                train_cfg=dict(max_iters=max_iters)))
        last = phase_of(max_iters - 1, schedule)
        if last == 'classify':
            with pytest.raises(plan.ConfigError, match='never be trained'):
                list(plan.check_phases(cfg))
            return
        warnings = list(plan.check_phases(cfg))
        assert len(warnings) == (last == 'cam')
        assert all('Refined labels are never made' in w for w in warnings)
        cfg.model.affinity_head = None
        assert not list(plan.check_phases(cfg))

    @pytest.mark.parametrize('end, expected', [
        (19999, 'trains nothing'),
        (20000, None),
        (20001, None),
        (40000, 'still high'),
    ])
    def test_end_of_the_learning_rate(self, end, expected):
        cfg = afa()
        cfg.param_scheduler[1].end = end
        warnings = plan.check_plan(cfg)
        assert len(warnings) == bool(expected)
        assert all(f'ends at iteration {end}' in text and expected in text
                   for text in warnings)

    def test_warm_up_alone_has_no_end(self):
        cfg = afa()
        del cfg.param_scheduler[1]
        assert not plan.check_plan(cfg)

    @pytest.mark.parametrize('config, patch_size, crop, side', [
        ('afa/afa_mit-b1_voc.py', None, 512, 48),
        ('afa/afa_mit-b1_voc.py', None, 100, 10),
        ('mix/afa_dinov2-base_voc.py', 14, 448, 48),
        ('mix/afa_vit-base_voc.py', 16, 512, 48),
    ])
    def test_grid(self, config, patch_size, crop, side):
        cfg = Config.fromfile(ROOT / 'configs' / config)
        assert cfg.model.backbone.get('patch_size') == patch_size
        cfg.train_dataloader.dataset.pipeline[3].crop_size = (crop, 2 * crop)
        assert plan.grid_side(cfg) == side

    @pytest.mark.parametrize('crop, radius, advised', [
        (512, 8, None),
        (384, 8, None),
        (256, 8, 4),
        (128, 8, 2),
        (128, 2, None),
        (64, 8, 1),
    ])
    def test_radius(self, crop, radius, advised):
        cfg = afa(**{'model.labeler.radius': radius})
        cfg.train_dataloader.dataset.pipeline[3].crop_size = crop
        warnings = plan.check_plan(cfg)
        assert len(warnings) == bool(advised)
        for text in warnings:
            assert text.endswith(f'model.labeler.radius={advised}.')
            cfg.model.labeler.radius = advised
        assert not plan.check_plan(cfg)

    def test_wrapped_data_set(self):
        dataset = dict(type='RepeatDataset', times=2)
        cfg = afa()
        dataset['dataset'] = cfg.train_dataloader.dataset
        cfg.train_dataloader.dataset = dataset
        assert plan.grid_side(cfg) == 48


def test_summary_without_affinity():
    cfg = afa(**{'model.affinity_head': None})
    cfg.optim_wrapper.type = 'BFloat16OptimWrapper'
    text = plan.summarize(cfg, 1)
    assert '4 an iteration: 1 process x 4' in text
    assert '0 to 2000 classification, to 19999 CAM labels\n' in text
    assert 'mixed, bfloat16' in text
    assert 'affinity' not in text
