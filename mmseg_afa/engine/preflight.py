# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What is wrong with the training of an AFA, told before it starts.

Each check yields messages that name the setting, what was found, and what to
do. What cannot be known without building it is left to those who build it.
"""

import math
import os.path as osp
import shutil
from typing import Iterator, Optional, Tuple

from mmengine.config import Config
from mmengine.fileio import join_path
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmengine.utils import is_abs
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS, MODELS

from ..datasets import WeakLabelDataset
from ..datasets.label_file import read_label_file
from ..models import AFA
from ..models.pseudo_labels import PseudoLabeler
from ..models.segmentors.schedule import complete_train_cfg

# The paper's radius of 8 belongs to crops of 512 pixels at scale 1.5.
PAPER_RADIUS, PAPER_GRID = 8, 48


class ConfigError(ValueError):
    """All that is wrong with a config."""


def check_config(cfg: Config) -> None:
    """Refuse a config that cannot train an AFA as it says; others pass.

    Nothing is built but the labeler, and no image is looked at.

    Args:
        cfg (Config): The config.

    Raises:
        ConfigError: With all that was found.
    """
    if is_afa(cfg):
        found = [problem for check in ERRORS for problem in check(cfg)]
        if found:
            raise ConfigError('\n'.join(found))


def check_runner(runner: Runner) -> None:
    """Log what makes little sense in the training of an AFA, and refuse one
    whose checkpoints have no room; others pass.

    Args:
        runner (Runner): As built, before it trains.

    Raises:
        ConfigError: If there is no room for a checkpoint.
    """
    if not is_afa(runner.cfg):
        return
    for check in WARNINGS:
        for doubt in check(runner.cfg):
            runner.logger.warning(doubt)
    check_room(runner)


def is_afa(cfg: Config) -> bool:
    """Whether a config's model is an AFA."""
    kind = (cfg.get('model') or {}).get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, AFA)


# -- errors ------------------------------------------------------------------


def data_sets(key: str, dataset: dict) -> Iterator[Tuple[str, dict]]:
    """The keys and configs of the data sets in wrappers, or of one."""
    if 'dataset' in dataset:
        yield from data_sets(f'{key}.dataset', dataset['dataset'])
    elif 'datasets' in dataset:
        for i, part in enumerate(dataset['datasets']):
            yield from data_sets(f'{key}.datasets.{i}', part)
    else:
        yield key, dataset


def classes_of(dataset: dict) -> Optional[tuple]:
    """The classes of a data set, if its config, its type or its label file
    tell them.

    Raises:
        FileNotFoundError, ValueError: If training needs the label file, and
            it is not there or its first line is wrong.
    """
    kind = dataset.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if not isinstance(kind, type) or not issubclass(kind, BaseSegDataset):
        return None
    classes = kind._load_metainfo(dataset.get('metainfo')).get('classes')
    label_file = dataset.get('label_file')
    needed = not classes or not dataset.get('test_mode')
    if label_file and needed and issubclass(kind, WeakLabelDataset):
        if dataset.get('data_root') and not is_abs(label_file):
            label_file = join_path(dataset['data_root'], label_file)
        listed, _ = read_label_file(
            label_file, backend_args=dataset.get('backend_args'))
        if not classes and listed:
            classes = ('background', *listed)
    return classes


def other_classes(cfg: Config) -> Iterator[str]:
    """The model and a data set disagree on the number of classes."""
    number = cfg.model.decode_head.get('num_classes')
    keys = {}  # by message: training and validation often share theirs
    for split in ('train', 'val'):
        dataset = (cfg.get(f'{split}_dataloader') or {}).get('dataset') or {}
        for key, one in data_sets(f'{split}_dataloader.dataset', dataset):
            try:
                classes = classes_of(one)
            except (FileNotFoundError, ValueError) as error:
                keys.setdefault(str(error), []).append(f'{key}.label_file')
                continue
            if classes and number and len(classes) != number:
                few = ', '.join(classes[:3]) + ', ...' * (len(classes) > 3)
                message = (
                    f'{len(classes)} classes with background ({few}), but '
                    f'model.decode_head.num_classes is {number}. Set it to '
                    f'{len(classes)}, or correct the data set.')
                keys.setdefault(message, []).append(key)
    for message, named in keys.items():
        yield f'{" and ".join(named)}: {message}'


def wrong_settings(cfg: Config) -> Iterator[str]:
    """What AFA and its labeler would refuse when they are built."""
    labeler = dict(cfg.model.get('labeler') or {}, refiner=None)
    if labeler.pop('type', 'PseudoLabeler') == 'PseudoLabeler':
        try:
            PseudoLabeler(**labeler)
        except ValueError as error:
            yield f'model.{error}'
    try:
        complete_train_cfg(cfg.model.get('train_cfg') or {})
    except ValueError as error:
        yield f'model.{error}'


def phases(cfg: Config) -> Optional[Tuple[int, int, int]]:
    """The last iterations (from 0) of classification only, of CAM labels and
    of the run; None if it counts epochs, or its settings are wrong."""
    max_iters = (cfg.get('train_cfg') or {}).get('max_iters')
    if not max_iters:
        return None
    try:
        schedule = complete_train_cfg(cfg.model.get('train_cfg') or {})
    except ValueError:
        return None
    return schedule['cam_iters'], schedule['switch_iter'], max_iters - 1


def no_segmentation(cfg: Config) -> Iterator[str]:
    """The run ends before segmentation is trained."""
    if phases(cfg):
        classify, _, last = phases(cfg)
        if last <= classify:
            yield (
                f'train_cfg.max_iters is {last + 1}, but iterations 0 to '
                f'{classify} train classification only '
                f'(model.train_cfg.cam_iters={classify}): segmentation would '
                'never be trained. Raise max_iters, or lower '
                'model.train_cfg.cam_iters and switch_iter with it.')


def missing_weights(cfg: Config) -> Iterator[str]:
    """Files of weights that are not there."""
    for key in ('model.backbone', 'model'):
        part = cfg.model if key == 'model' else cfg.model.backbone
        init_cfg = part.get('init_cfg')
        named = [(f'{key}.pretrained', part.get('pretrained'))]
        # a list of such dicts is rare, and its files are found when loaded
        if isinstance(init_cfg, dict):
            named.append(
                (f'{key}.init_cfg.checkpoint', init_cfg.get('checkpoint')))
        for name, path in named:
            if path and not there(path):
                setting = name.replace('.checkpoint', '')
                yield (f'{name}: {path}: no such file. Put the pretrained '
                       'weights there, name another file, or train from '
                       f'scratch with {setting}=None.')
    if cfg.get('load_from') and not there(cfg.load_from):
        yield (f'load_from: {cfg.load_from}: no such checkpoint file. Name '
               'another one, or leave load_from out.')


def there(path: str) -> bool:
    """Whether a file is there, or may be behind an address."""
    return '://' in path or osp.isfile(osp.expanduser(path))


def accumulated_by_wrapper(cfg: Config) -> Iterator[str]:
    """Gradients are summed over iterations, which the schedule counts."""
    counts = (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    if counts > 1:
        yield (f'optim_wrapper.accumulative_counts is {counts}: AFA counts '
               'its phases in iterations, and normalises its losses over the '
               'batch of one. Leave it out, and set '
               f'model.train_cfg.accumulative_counts={counts}, which splits '
               'the batch of an iteration.')


ERRORS = (other_classes, wrong_settings, no_segmentation, missing_weights,
          accumulated_by_wrapper)

# -- warnings ----------------------------------------------------------------


def crop_of(cfg: Config) -> Optional[int]:
    """The shorter side of the training crops, if a transform names it."""
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    for _, one in data_sets('', dataset):
        for transform in one.get('pipeline') or ():
            size = transform.get('crop_size')
            if size:
                return min(size) if isinstance(size, (list, tuple)) else size
    return None


def wide_radius(cfg: Config) -> Iterator[str]:
    """The affinity's radius reaches over most of the crop.

    It counts cells of a grid that shrinks with the crop: the random walk
    averages over nearly all of a small one, and drowns the foreground.
    """
    side = grid_side(cfg)
    if not side or not cfg.model.get('affinity_head'):
        return
    radius = (cfg.model.get('labeler') or {}).get('radius', PAPER_RADIUS)
    proportional = max(round(side * PAPER_RADIUS / PAPER_GRID), 1)
    if radius > proportional and 2 * radius + 1 > side / 2:
        yield (f'model.labeler.radius is {radius} cells, on a grid of {side} '
               f'cells a side (crop of {crop_of(cfg)}, at the largest of '
               'model.train_cfg.cam_scales): refined labels average over '
               f'{min(2 * radius + 1, side)} of {side} cells, which drowns '
               'small foreground. '
               f'The paper has {PAPER_RADIUS} of {PAPER_GRID}: here that is '
               f'model.labeler.radius={proportional}.')


def grid_side(cfg: Config) -> Optional[int]:
    """Cells along the shorter side of the affinity's grid, which is that of
    the largest scale; None if no transform names the crop."""
    crop = crop_of(cfg)
    schedule = complete_train_cfg(cfg.model.get('train_cfg') or {})
    scale = max(schedule['cam_scales'])
    return crop and math.ceil(
        int(crop * scale) / grid_stride(cfg.model.backbone))


def grid_stride(backbone: dict) -> int:
    """Pixels that a cell of the affinity's grid spans: a patch of a plain
    ViT; what the stages of another backbone come to, by default MiT's."""
    return backbone.get('patch_size') or math.prod(
        backbone.get('strides', (4, 2, 2, 1)))


def no_affinity(cfg: Config) -> Iterator[str]:
    """The run ends before refined labels take over."""
    if cfg.model.get('affinity_head') and phases(cfg):
        classify, switch, last = phases(cfg)
        if last <= switch:
            yield (f'The run ends at train_cfg.max_iters={last + 1}: '
                   f'iterations 0 to {classify} are classification only, the '
                   f'rest have CAM labels (model.train_cfg.switch_iter='
                   f'{switch}). Refined labels are never made; lower '
                   'switch_iter, or raise max_iters, to have them.')


def other_end(cfg: Config) -> Iterator[str]:
    """The learning rate fades out earlier or later than the run ends."""
    if not phases(cfg):
        return
    schedulers = cfg.get('param_scheduler') or []
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    fading = [
        one['end'] for one in schedulers
        if one.get('end') and not one.get('by_epoch', True) and (
            one.get('end_factor') == 0 or 'eta_min' in one or one['type'] in
            ('PolyLR', 'CosineAnnealingLR'))
    ]
    max_iters = phases(cfg)[-1] + 1
    # The published code's schedule ends one step later than the run.
    if fading and not 0 <= max(fading) - max_iters <= 1:
        effect = ('the rest trains nothing' if max(fading) < max_iters else
                  'the run ends while it is still high')
        yield (f'param_scheduler: the learning rate fades out at iteration '
               f'{max(fading)}, but train_cfg.max_iters is {max_iters}: '
               f'{effect}. Set the end of the last scheduler to max_iters.')


WARNINGS = (wide_radius, no_affinity, other_end)

# -- with the model ----------------------------------------------------------


def check_room(runner: Runner) -> None:
    """See whether the disk has room for the checkpoints that will be kept.

    A checkpoint is three times the weights (Adam keeps two moments of each);
    a best one has the weights alone.

    Raises:
        ConfigError: If there is no room for one checkpoint.
    """
    hook = next(
        (hook for hook in runner.hooks if isinstance(hook, CheckpointHook)),
        None)
    folder = runner.work_dir
    if hook is None or hook.out_dir:  # which may lie on another storage
        return
    weights = sum(p.numel() * p.element_size()
                  for p in runner.model.parameters())
    one = weights * (3 if hook.save_optimizer else 1)
    # the oldest is deleted once the newest is there
    kept = hook.max_keep_ckpts + 1
    if hook.max_keep_ckpts < 1:
        max_iters = runner.cfg.train_cfg.get('max_iters') or 0
        kept = max(max_iters // hook.interval, 1)
    total = one * kept + weights * len(hook.save_best or ())
    free = shutil.disk_usage(folder).free
    found = f'{folder} has {free / 1e9:.2f} GB free'
    if free < one:
        raise ConfigError(
            f'{found}, and a checkpoint takes about {one / 1e9:.2f} GB: '
            'delete something, or name a work folder on another disk '
            '(--work-dir).')
    if free < total:
        runner.logger.warning(
            f'{found}, and the checkpoints that are kept take about '
            f'{total / 1e9:.2f} GB: the run may stop at a full disk. Delete '
            'something, lower default_hooks.checkpoint.max_keep_ckpts, or '
            'name a work folder on another disk (--work-dir).')
