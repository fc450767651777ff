# Copyright (c) mmseg_afa contributors. All rights reserved.
import copy

import pytest
import torch
from mmengine.config import Config
from mmseg.evaluation import IoUMetric

from mmseg_afa.engine import plan
from tests.test_configs.configs import CONFIGS
from tests.test_reference.reference import ROOT

VOC = Config.fromfile(ROOT / 'configs/afa/afa_mit-b1_voc.py')
EIGHT = """\
This run
  images        32 an iteration: 8 processes x 4
  iterations    2,500, 80,000 images
  phases        0 to 250 classification, to 750 CAM labels, to 2499 refined \
labels
  learning rate 0.0001697 (AdamW), warm-up of 188 iterations
  precision     float32
  rescaled      iterations x 0.125, learning rate x 2.828 (square root), \
because the config is for 4 images an iteration. --no-auto-scale keeps the \
config"""


def afa(**options):
    """Copy VOC's config, with some settings."""
    cfg = copy.deepcopy(VOC)
    cfg.merge_from_dict(options)
    return cfg


def other(**options):
    """Write a config of another method for 16 images, with 8 a process."""
    return Config(
        dict(
            dict(
                auto_scale_lr=dict(enable=True, base_batch_size=16),
                train_dataloader=dict(
                    batch_size=8, dataset=dict(type='BaseSegDataset')),
                model=dict(type='EncoderDecoder'),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01))),
            **options))


def test_eight_processes():
    """Train on the same images in 2,500 iterations of 32."""
    cfg = afa()
    rescaled = plan.auto_scale(cfg, 8)
    assert plan.summarize(cfg, 8, rescaled) == EIGHT
    warm_up, fading = cfg.param_scheduler
    assert (warm_up.begin, warm_up.end) == (0, 189)
    assert (fading.begin, fading.end) == (188, 2501)
    assert cfg.default_hooks.checkpoint.interval == 250
    assert cfg.train_cfg.val_interval == 250
    assert plan.auto_scale(cfg, 8) is None  # as the work folder has it


@pytest.mark.parametrize('world_size, options', [
    (2, {
        'train_dataloader.batch_size': 2
    }),
    (8, dict(auto_scale_lr=None)),
    (8, {
        'auto_scale_lr.enable': False
    }),
    (8, dict(auto_scale_lr=dict(base_batch_size=4, _delete_=True))),
])
def test_nothing_to_rescale(world_size, options):
    cfg = afa(**options)
    before = copy.deepcopy(cfg).to_dict()
    assert plan.auto_scale(cfg, world_size) is None
    assert cfg.to_dict() == before


def test_accumulated_gradients():
    """Scale the rate by the images of a step of the optimizer."""
    cfg = afa(**{
        'train_dataloader.batch_size': 1,
        'optim_wrapper.accumulative_counts': 4
    })
    plan.auto_scale(cfg, 1)
    assert cfg.train_cfg.max_iters == 80000
    assert cfg.optim_wrapper.optimizer.lr == 6e-5
    assert '1 x 1, a step every 4 iterations' in plan.summarize(
        cfg, 1).replace('process ', '')


def test_other_optimizers_and_hooks():
    cfg = other(
        train_cfg=dict(max_iters=100),
        custom_hooks=[
            dict(type='PseudoLabelVisualizationHook', interval=10),
            dict(type='EMAHook', interval=1)
        ],
        param_scheduler=dict(
            type='MultiStepLR', milestones=[30, 60], by_epoch=False))
    assert 'linear' in plan.auto_scale(cfg, 4)
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.02)
    assert cfg.train_cfg.max_iters == 50
    assert cfg.param_scheduler.milestones == [15, 30]
    assert [hook.interval for hook in cfg.custom_hooks] == [5, 1]


def test_epochs_are_kept():
    cfg = other(
        train_cfg=dict(max_epochs=10, val_interval=1),
        param_scheduler=[dict(type='LinearLR', begin=0, end=3)])
    plan.auto_scale(cfg, 8)
    assert cfg.train_cfg.val_interval == 1
    assert cfg.param_scheduler[0].end == 3


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_configs_that_ship(path):
    assert not plan.check_plan(Config.fromfile(path))


@pytest.mark.parametrize('first, late', [
    ('WeakRandomCrop', 'PhotoMetricDistortion'),
    ('Pad', 'CLAHE'),
    ('Pad', 'mmpretrain.ColorJitter'),
    ('RandomCrop', None),
])
def test_colours_after_padding(first, late):
    """Keep padding black; mmseg's RandomCrop does not pad."""
    cfg = afa()
    pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline[3].type = first
    pipeline.insert(4, dict(type=late or 'PhotoMetricDistortion'))
    warnings = plan.check_plan(cfg)
    assert [f'Move {late} before {first}' in text
            for text in warnings] == [True] * bool(late)


EPOCHS = dict(max_epochs=2, val_interval=1)


@pytest.mark.parametrize('loop, sampler, refused', [
    (dict(EPOCHS, type='EpochBasedTrainLoop'), 'ResumableSampler', True),
    (dict(EPOCHS, by_epoch=True), 'InfiniteSampler', True),
    (dict(EPOCHS, type='EpochBasedTrainLoop'), 'DefaultSampler', False),
    (dict(max_iters=9, by_epoch=False), 'InfiniteSampler', False),
])
def test_endless_epoch(loop, sampler, refused):
    cfg = other(train_cfg=loop)
    cfg.train_dataloader.sampler = dict(type=sampler)
    if refused:
        with pytest.raises(plan.ConfigError, match=f'{sampler} never ends'):
            plan.check_plan(cfg)
    else:
        assert not plan.check_plan(cfg)


@pytest.mark.parametrize('metrics, save_best, missing', [
    (dict(type='IoUMetric', iou_metrics=['mFscore']), 'mIoU', 'mIoU'),
    (dict(type='IoUMetric', iou_metrics='mDice'), 'mPrecision', 'mPrecision'),
    (dict(type='IoUMetric', iou_metrics=['mFscore']), 'mRecall', None),
    (dict(type='IoUMetric', prefix='val'), 'val/aAcc', None),
    ([dict(type='IoUMetric')], ['mIoU', 'image_label/mAP'], 'image_label/mAP'),
    ([dict(type='IoUMetric'),
      dict(type='ImageLabelMetric')], ['mIoU', 'image_label/mAP'], None),
    (dict(type='ImageLabelMetric'), 'image_label/mIoU', 'image_label/mIoU'),
    (dict(type='WeakIoUMetric', prefix='a'), 'a/cam_given_tags/mIoU', None),
    (dict(type='IoUMetric'), 'auto', None),
    (dict(type='IoUMetric'), None, None),
    ([dict(type='IoUMetric'),
      dict(type='AMetricOfOthers')], 'PQ', None),
    (None, 'mIoU', None),
])
def test_save_best(metrics, save_best, missing):
    """Refuse a score that no metric computes; without masks none is."""
    cfg = afa(**{'default_hooks.checkpoint.save_best': save_best})
    cfg.val_evaluator = metrics
    if missing:
        with pytest.raises(plan.ConfigError, match=f"save_best.*'{missing}'"):
            plan.check_plan(cfg)
    else:
        assert not plan.check_plan(cfg)


def test_scores_are_those_of_a_validation():
    """Accept what the metric computes, for each of its settings."""
    names = ['mIoU', 'mDice', 'mFscore']
    metric = IoUMetric(iou_metrics=names)
    metric.dataset_meta = dict(classes=('a', ))
    found = metric.compute_metrics([[torch.ones(1)] * 4])
    cfg = afa(**{'default_hooks.checkpoint.save_best': [*found]})
    cfg.val_evaluator = dict(type='IoUMetric', iou_metrics=names)
    assert not plan.check_plan(cfg)


def test_no_segmentation():
    cfg = afa(train_cfg=dict(max_iters=10))
    cfg.model.train_cfg.update(cam_iters=9, switch_iter=20)
    with pytest.raises(plan.ConfigError, match='never be trained'):
        plan.check_plan(cfg)


@pytest.mark.parametrize('switch_iter, affinity_head, warned', [
    (8, True, False),
    (9, True, True),
    (9, False, False),
])
def test_no_refined_labels(switch_iter, affinity_head, warned):
    cfg = afa(train_cfg=dict(max_iters=10))
    cfg.param_scheduler[1].end = 10
    cfg.model.train_cfg.update(cam_iters=8, switch_iter=switch_iter)
    if not affinity_head:
        cfg.model.affinity_head = None
    warnings = plan.check_plan(cfg)
    assert ['never made' in text for text in warnings] == [True] * warned


@pytest.mark.parametrize('end, expected', [
    (19999, 'trains nothing'),
    (20000, None),
    (20001, None),
    (40000, 'still high'),
])
def test_end_of_the_learning_rate(end, expected):
    cfg = afa()
    cfg.param_scheduler[1].end = end
    warnings = plan.check_plan(cfg)
    assert len(warnings) == bool(expected)
    assert all(f'ends at iteration {end}' in text and expected in text
               for text in warnings)


def test_warm_up_alone_has_no_end():
    cfg = afa()
    del cfg.param_scheduler[1]
    assert not plan.check_plan(cfg)


@pytest.mark.parametrize('config, crop, side', [
    ('afa/afa_mit-b1_voc.py', 512, 48),
    ('mix/afa_dinov2-base_voc.py', 448, 48),
    ('mix/afa_vit-base_voc.py', 512, 48),
])
def test_grid(config, crop, side):
    cfg = Config.fromfile(ROOT / 'configs' / config)
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline[3].crop_size = (crop, 2 * crop)
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', dataset=dataset)
    assert plan.grid_side(cfg) == side


@pytest.mark.parametrize('crop, radius, advised', [
    (384, 8, None),
    (256, 8, 4),
    (128, 8, 2),
    (128, 2, None),
    (96, 8, None),
])
def test_radius(crop, radius, advised):
    cfg = afa(**{'model.labeler.radius': radius})
    cfg.train_dataloader.dataset.pipeline[3].crop_size = crop
    warnings = plan.check_plan(cfg)
    assert len(warnings) == bool(advised)
    for text in warnings:
        assert text.endswith(f'model.labeler.radius={advised}.')
        cfg.model.labeler.radius = advised
    assert not plan.check_plan(cfg)


def test_summary_without_affinity():
    cfg = afa(**{'model.affinity_head': None})
    cfg.optim_wrapper.type = 'BFloat16OptimWrapper'
    text = plan.summarize(cfg, 1)
    assert '4 an iteration: 1 process x 4' in text
    assert '0 to 2000 classification, to 19999 CAM labels\n' in text
    assert 'mixed, bfloat16' in text
