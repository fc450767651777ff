# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Plan a training: rescale its schedule, check it, and summarise it.

The checks are those that no constructor makes.
"""
import math
import re
from typing import Iterator, List, Optional, Sequence

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import Hook
from mmengine.registry import Registry
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmseg.evaluation import IoUMetric
from mmseg.registry import DATA_SAMPLERS, LOOPS, METRICS, MODELS

from ..evaluation import ImageLabelMetric
from ..models import AFA, FIELDS
from ..models.segmentors.schedule import complete_train_cfg
from .classes import ConfigError, all_datasets

# The paper's radius of 8 cells belongs to crops of 512 pixels at scale 1.5.
PAPER_RADIUS, PAPER_GRID = 8, 48

# Names of transforms that change colours.
COLOURS = re.compile('Photo|Colou?r|Gamma|CLAHE|Bright|Contrast|Gray|Rerange')


def auto_scale(cfg: Config, world_size: int) -> Optional[str]:
    """Rescale the schedule to the images of all processes, in place.

    ``auto_scale_lr.base_batch_size`` is the number of images an iteration
    that the config was written for. For another total, all numbers of
    iterations are multiplied by base / total and rounded up. mmengine then
    finds the total as base, and scales by 1. Nothing is changed unless
    ``auto_scale_lr.enable`` is True, as in mmengine.

    The learning rate is multiplied by sqrt(images of a step / base) for
    optimizers like Adam (Malladi et al., NeurIPS 2022), and by images of a
    step / base for others (Goyal et al., arXiv 1706.02677). A step has the
    images of ``optim_wrapper.accumulative_counts`` iterations.

    Returns:
        str, optional: A line for the summary; None if nothing was changed.
    """
    setting = cfg.get('auto_scale_lr') or {}
    base = setting.get('base_batch_size')
    total = cfg.train_dataloader.get('batch_size', 1) * world_size
    if not setting.get('enable') or not base or base == total:
        return None

    scale_iterations(cfg, base, total)
    optimizer = cfg.optim_wrapper.optimizer
    adam = 'Adam' in optimizer.type
    step = total * cfg.optim_wrapper.get('accumulative_counts', 1)
    factor = (step / base)**(0.5 if adam else 1)
    optimizer.lr *= factor
    setting.base_batch_size = total
    rule = 'square root' if adam else 'linear'
    return (f'iterations x {base / total:.4g}, learning rate x {factor:.4g} '
            f'({rule}), because the config is for {base} images an '
            'iteration. --no-auto-scale keeps the config')


def scale_iterations(cfg: Config, base: int, total: int) -> None:
    """Multiply every number of iterations by base / total, in place."""

    def scaled(iterations: int) -> int:
        return -(-iterations * base // total)

    loop, schedule = cfg.train_cfg, cfg.model.get('train_cfg') or {}
    steps = iteration_schedulers(cfg)
    borders = {
        loop.get('max_iters'), *(step.get('begin', 0) for step in steps)
    }
    for step in steps:
        # AFA's schedulers end one step after the next begins, or the run ends.
        over = int(step.get('end', 0) - 1 in borders)
        if 'end' in step:
            step.end = scaled(step.end - over) + over
        for key in {'begin', 'T_max'} & step.keys():
            step[key] = scaled(step[key])
        if 'milestones' in step:
            step.milestones = list(map(scaled, step.milestones))
    if 'max_iters' not in loop:
        return  # the other numbers count epochs
    hooks = [
        hook for hook in cfg.get('custom_hooks', [])
        if hook.type == 'PseudoLabelVisualizationHook'
    ]
    saver = cfg.get('default_hooks', {}).get('checkpoint', {})
    if not saver.get('by_epoch', True):
        hooks.append(saver)
    for counts, *keys in [(loop, 'max_iters', 'val_interval'),
                          (schedule, 'cam_iters', 'switch_iter'),
                          *((hook, 'interval') for hook in hooks)]:
        for key in keys:
            if key in counts:
                counts[key] = scaled(counts[key])


def iteration_schedulers(cfg: Config) -> List[ConfigDict]:
    """List the schedulers of a config that count iterations."""
    found = cfg.get('param_scheduler') or []
    found = [found] if isinstance(found, dict) else found
    return [one for one in found if not one.get('by_epoch', True)]


def check_plan(cfg: Config) -> List[str]:
    """Return warnings about what a config will train.

    Raises:
        ConfigError: If the run would not end, would stop at its first
            validation, or would end before it trains the segmentation.
    """
    check_loop(cfg)
    check_save_best(cfg)
    checks = [check_padding]
    if has_phases(cfg):
        checks += [check_phases, check_radius, check_lr_end]
    return [warning for check in checks for warning in check(cfg)]


def is_a(cfg: dict, base: type, registry: Registry) -> bool:
    """Return whether a config builds an object of a class."""
    kind = cfg.get('type')
    kind = registry.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, base)


def check_loop(cfg: Config) -> None:
    """Check that epochs end, if the run counts them."""
    loop, sampler = cfg.train_cfg, cfg.train_dataloader.get('sampler') or {}
    by_epoch = loop.get('by_epoch') or is_a(loop, EpochBasedTrainLoop, LOOPS)
    if by_epoch and is_a(sampler, InfiniteSampler, DATA_SAMPLERS):
        raise ConfigError(
            'train_cfg counts epochs, but train_dataloader.sampler '
            f'{sampler.type} never ends an epoch. Set max_iters in train_cfg '
            "and its type to 'IterBasedTrainLoop', or "
            "train_dataloader.sampler.type to 'DefaultSampler'.")


def check_save_best(cfg: Config) -> None:
    """Check that the metrics compute the scores of save_best."""
    metrics = cfg.get('val_evaluator') or []
    saver = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    best = saver.get('save_best')
    scores = {'auto'}
    for metric in [metrics] if isinstance(metrics, dict) else metrics:
        if metric.get('prefix'):
            return
        if is_a(metric, ImageLabelMetric, METRICS):
            scores |= {'image_label/F1', 'image_label/mAP'}
        elif is_a(metric, IoUMetric, METRICS):
            computed = IoUMetric.total_area_to_metrics(
                *torch.ones(4, 1), metric.get('iou_metrics', ['mIoU']))
            scores |= {'aAcc', *(f'm{name}' for name in computed)} - {'maAcc'}
        else:
            return  # its scores are not known
    for name in [best] if isinstance(best, str) else best or []:
        source, _, score = name.rpartition('/')
        if metrics and (score if source in FIELDS else name) not in scores:
            raise ConfigError(
                f'default_hooks.checkpoint.save_best is {name!r}, but '
                f'val_evaluator computes {", ".join(sorted(scores))}. '
                'Choose one of these, or add the metric.')


def check_padding(cfg: Config) -> Iterator[str]:
    """Check that no transform colours the black padding of a crop."""
    for key, dataset in all_datasets(cfg):
        pad = None
        for transform in dataset.get('pipeline', []):
            kind = str(transform['type'])
            if kind in ('Pad', 'WeakRandomCrop'):
                pad = kind
            elif pad and COLOURS.search(kind) and key.startswith('train'):
                yield (f'{key}.pipeline: {kind} also colours the padding of '
                       f'{pad}. Move {kind} before {pad}.')


def has_phases(cfg: Config) -> bool:
    """Return whether a config trains an AFA for a number of iterations."""
    return is_a(cfg.model, AFA, MODELS) and 'max_iters' in cfg.train_cfg


def afa_schedule(cfg: Config) -> dict:
    """Return the model's train_cfg with its defaults."""
    return complete_train_cfg(cfg.model.get('train_cfg') or {})


def check_phases(cfg: Config) -> Iterator[str]:
    """Check that the run reaches the phases of the segmentation."""
    schedule, max_iters = afa_schedule(cfg), cfg.train_cfg.max_iters
    classify, cam = schedule['cam_iters'], schedule['switch_iter']
    if max_iters - 1 <= classify:
        raise ConfigError(
            f'train_cfg.max_iters is {max_iters}, but iterations 0 to '
            f'{classify} train the classification only '
            f'(model.train_cfg.cam_iters={classify}). The segmentation would '
            'never be trained. Raise max_iters, or lower '
            'model.train_cfg.cam_iters and switch_iter.')
    if max_iters - 1 <= cam and cfg.model.get('affinity_head'):
        yield (f'train_cfg.max_iters is {max_iters}, but refined labels begin '
               f'after iteration {cam} (model.train_cfg.switch_iter={cam}). '
               'Refined labels are never made. Raise max_iters, or lower '
               'switch_iter.')


def check_radius(cfg: Config) -> Iterator[str]:
    """Check that the affinity's radius is not too large for the grid."""
    side = grid_side(cfg)
    # On fewer than 12 cells, a sixth of the grid isolates cells.
    if not side or side < 12 or not cfg.model.get('affinity_head'):
        return
    radius = cfg.model.get('labeler', {}).get('radius', PAPER_RADIUS)
    proportional = round(side * PAPER_RADIUS / PAPER_GRID)
    if radius > proportional and 2 * radius + 1 > side / 2:
        yield (f'model.labeler.radius is {radius} cells, on a grid of {side} '
               f'x {side} cells. Refined labels average over '
               f'{min(2 * radius + 1, side)} of {side} cells, and small '
               f'objects are lost. The paper has {PAPER_RADIUS} of '
               f'{PAPER_GRID} cells. Here that is '
               f'model.labeler.radius={proportional}.')


def grid_side(cfg: Config) -> Optional[int]:
    """Return the cells along the shorter side of the largest CAM's grid."""
    crops = [
        transform['crop_size'] for key, dataset in all_datasets(cfg)
        if key.startswith('train')
        for transform in dataset.get('pipeline', [])
        if 'crop_size' in transform
    ]
    if not crops:
        return None
    backbone = cfg.model.backbone
    # A cell is a patch of a plain ViT, or the product of the stages' strides.
    stride = backbone.get('patch_size') or math.prod(
        backbone.get('strides', (4, 2, 2, 1)))
    scale = max(afa_schedule(cfg)['cam_scales'])
    return math.ceil(int(np.min(crops[0]) * scale) / stride)


def check_lr_end(cfg: Config) -> Iterator[str]:
    """Check that the learning rate reaches its end when the run ends."""
    max_iters = cfg.train_cfg.max_iters
    ends = [
        one.end for one in iteration_schedulers(cfg)
        if 'end' in one and (one.type in (
            'PolyLR', 'CosineAnnealingLR') or one.get('end_factor') == 0)
    ]
    end = max(ends, default=max_iters)
    # The published schedule ends one step after the run.
    if not 0 <= end - max_iters <= 1:
        effect = ('The rest trains nothing' if end < max_iters else
                  'The run ends while the rate is still high')
        yield (f'param_scheduler: the learning rate ends at iteration {end}, '
               f'but train_cfg.max_iters is {max_iters}. {effect}. Set the '
               'end of the last scheduler to max_iters.')


def summarize(cfg: Config,
              world_size: int,
              scaled: Optional[str] = None) -> str:
    """Summarise what a config trains in a number of processes.

    `scaled` is the line of :func:`auto_scale`.
    """
    loop, wrapper = cfg.train_cfg, cfg.optim_wrapper
    batch_size = cfg.train_dataloader.get('batch_size', 1)
    processes = 'processes' if world_size > 1 else 'process'
    counts = wrapper.get('accumulative_counts', 1)
    step = f', a step every {counts} iterations' if counts > 1 else ''
    images = batch_size * world_size
    lines = {
        'images':
        f'{images} an iteration: {world_size} {processes} x '
        f'{batch_size}{step}'
    }
    if 'max_iters' in loop:
        lines['iterations'] = (
            f'{loop.max_iters:,}, {loop.max_iters * images:,} images')
    if has_phases(cfg):
        schedule, last = afa_schedule(cfg), loop.max_iters - 1
        classify, cam = schedule['cam_iters'], schedule['switch_iter']
        labels = f'to {last} CAM labels'
        if cfg.model.get('affinity_head') and cam < last:
            labels = f'to {cam} CAM labels, to {last} refined labels'
        lines['phases'] = f'0 to {classify} classification, {labels}'
    warm_up = ''.join(f', warm-up of {one.end - 1:,} iterations'
                      for one in iteration_schedulers(cfg)
                      if one.get('begin', 0) == 0 and one.type == 'LinearLR')
    lines['learning rate'] = (
        f'{wrapper.optimizer.lr:.4g} ({wrapper.optimizer.type}){warm_up}')
    lines['precision'] = dict(
        AmpOptimWrapper=f'mixed, {wrapper.get("dtype", "float16")}',
        BFloat16OptimWrapper='mixed, bfloat16').get(
            wrapper.get('type'), 'float32')
    if scaled:
        lines['rescaled'] = scaled
    return '\n'.join(
        ['This run', *(f'  {name:<14}{text}' for name, text in lines.items())])


def log_at_start(runner: Runner, summary: str,
                 warnings: Sequence[str]) -> None:
    """Log a summary and warnings below what mmengine logs before a run."""

    def log(runner: Runner) -> None:
        runner.logger.info(summary)
        for warning in warnings:
            runner.logger.warning(warning)

    hook = Hook()
    hook.before_train = log
    runner.register_hook(hook, 'LOWEST')
