# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Plan a training: rescale its schedule, check it, and summarise it.

The checks are those that no constructor makes.
"""
import math
from typing import Callable, Iterator, List, Optional, Tuple

from mmengine.config import Config, ConfigDict
from mmseg.registry import MODELS

from ..models import AFA
from ..models.segmentors.schedule import complete_train_cfg
from .classes import ConfigError, all_datasets

# The paper's radius of 8 cells belongs to crops of 512 pixels at scale 1.5.
PAPER_RADIUS, PAPER_GRID = 8, 48


def is_afa(cfg: Config) -> bool:
    """Return whether the model of a config is an AFA."""
    kind = (cfg.get('model') or {}).get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, AFA)


# -- another number of images -------------------------------------------------


def auto_scale(cfg: Config, world_size: int) -> Optional[str]:
    """Rescale the schedule to the images of all processes, in place.

    ``auto_scale_lr.base_batch_size`` is the number of images an iteration
    that the config was written for. For another total, all numbers of
    iterations (run length, phases, warm-up, intervals) are multiplied by
    base / total and rounded up. Schedules in epochs are not changed.

    The learning rate is multiplied by sqrt(images of a step / base) for
    optimizers like Adam (Malladi et al., NeurIPS 2022), and by images of a
    step / base for others (Goyal et al., arXiv 1706.02677). A step has the
    images of ``optim_wrapper.accumulative_counts`` iterations.

    Args:
        cfg (Config): The config. Afterwards its base is the total.
        world_size (int): The number of processes.

    Returns:
        str, optional: A line for the summary; None if nothing was changed.
    """
    setting = cfg.get('auto_scale_lr') or {}
    base = setting.get('base_batch_size')
    total = images_per_iter(cfg, world_size)
    if not base or not total or base == total or setting.get('enable'):
        return None

    scale_iterations(cfg, lambda iterations: -(-iterations * base // total))
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


def images_per_iter(cfg: Config, world_size: int) -> Optional[int]:
    """Return the images of all processes in an iteration, if it is known."""
    batch_size = (cfg.get('train_dataloader') or {}).get('batch_size')
    return batch_size and batch_size * world_size


def scale_iterations(cfg: Config, scaled: Callable[[int], int]) -> None:
    """Replace every number of iterations, in place."""
    steps = iteration_schedulers(cfg)
    borders = {step.get('begin', 0) for step in steps}
    borders.add((cfg.get('train_cfg') or {}).get('max_iters'))
    for counts, key in iteration_counts(cfg):
        counts[key] = scaled(counts[key])
    for step in steps:
        # AFA's schedulers end one step after the next begins, or the run ends.
        over = int(step.get('end', 0) - 1 in borders)
        if 'end' in step:
            step.end = scaled(step.end - over) + over
        for key in {'begin', 'T_max'} & step.keys():
            step[key] = scaled(step[key])
        if 'milestones' in step:
            step.milestones = list(map(scaled, step.milestones))


def iteration_counts(cfg: Config) -> Iterator[Tuple[ConfigDict, str]]:
    """Yield each dict and key of a config that counts iterations."""
    loop = cfg.get('train_cfg') or {}
    if not loop.get('max_iters'):
        return
    schedule = cfg.model.get('train_cfg') or {}
    keys = [(loop, 'max_iters'), (loop, 'val_interval'),
            (schedule, 'cam_iters'), (schedule, 'switch_iter')]
    saver = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    if not saver.get('by_epoch', True):
        keys.append((saver, 'interval'))
    keys += [(hook, 'interval') for hook in cfg.get('custom_hooks') or []
             if hook.type == 'PseudoLabelVisualizationHook']
    yield from ((counts, key) for counts, key in keys if key in counts)


def iteration_schedulers(cfg: Config) -> List[ConfigDict]:
    """List the schedulers of a config that count iterations."""
    found = cfg.get('param_scheduler') or []
    found = [found] if isinstance(found, dict) else found
    return [one for one in found if not one.get('by_epoch', True)]


# -- checks -------------------------------------------------------------------


def check_plan(cfg: Config) -> List[str]:
    """Check what an AFA will train; other models pass.

    Args:
        cfg (Config): The config.

    Returns:
        list[str]: Warnings.

    Raises:
        ConfigError: If the run ends before it trains the segmentation.
    """
    if not is_afa(cfg):
        return []
    checks = check_phases, check_radius, check_lr_end
    return [warning for check in checks for warning in check(cfg)]


def last_iterations(cfg: Config) -> Optional[Tuple[int, int, int]]:
    """Return the last iteration, from 0, of each of the three phases.

    The last phase ends with the run. None if the run counts epochs.
    """
    max_iters = (cfg.get('train_cfg') or {}).get('max_iters')
    schedule = afa_schedule(cfg)
    return max_iters and (schedule['cam_iters'], schedule['switch_iter'],
                          max_iters - 1)


def afa_schedule(cfg: Config) -> dict:
    """Return the model's train_cfg with its defaults."""
    return complete_train_cfg(cfg.model.get('train_cfg') or {})


def check_phases(cfg: Config) -> Iterator[str]:
    """Check that the run reaches the phases of the segmentation."""
    ends = last_iterations(cfg)
    if not ends:
        return
    classify, cam, last = ends
    if last <= classify:
        raise ConfigError(
            f'train_cfg.max_iters is {last + 1}, but iterations 0 to '
            f'{classify} train the classification only '
            f'(model.train_cfg.cam_iters={classify}). The segmentation would '
            'never be trained. Raise max_iters, or lower '
            'model.train_cfg.cam_iters and switch_iter.')
    if last <= cam and cfg.model.get('affinity_head'):
        yield (f'train_cfg.max_iters is {last + 1}, but refined labels begin '
               f'after iteration {cam} (model.train_cfg.switch_iter={cam}). '
               'Refined labels are never made. Raise max_iters, or lower '
               'switch_iter.')


def check_radius(cfg: Config) -> Iterator[str]:
    """Check that the affinity's radius is not too large for the grid.

    The radius counts cells, and a smaller crop has fewer cells. With a
    radius of half the grid, the random walk averages over the whole image.
    """
    side = grid_side(cfg)
    if not side or not cfg.model.get('affinity_head'):
        return
    radius = radius_of(cfg)
    proportional = max(round(side * PAPER_RADIUS / PAPER_GRID), 1)
    if radius > proportional and 2 * radius + 1 > side / 2:
        yield (f'model.labeler.radius is {radius} cells, on a grid of {side} '
               f'x {side} cells. Refined labels average over '
               f'{min(2 * radius + 1, side)} of {side} cells, and small '
               f'objects are lost. The paper has {PAPER_RADIUS} of '
               f'{PAPER_GRID} cells. Here that is '
               f'model.labeler.radius={proportional}.')


def radius_of(cfg: Config) -> int:
    """Return the radius of the affinity in cells."""
    return (cfg.model.get('labeler') or {}).get('radius', PAPER_RADIUS)


def grid_side(cfg: Config) -> Optional[int]:
    """Return the cells along the shorter side of the affinity's grid.

    The grid is that of the largest CAM scale. None if no transform of the
    training names a crop size.
    """
    crop = crop_side(cfg)
    backbone = cfg.model.backbone
    # A cell is a patch of a plain ViT, or the product of the stages' strides.
    stride = backbone.get('patch_size') or math.prod(
        backbone.get('strides', (4, 2, 2, 1)))
    scale = max(afa_schedule(cfg)['cam_scales'])
    return crop and math.ceil(int(crop * scale) / stride)


def crop_side(cfg: Config) -> Optional[int]:
    """Return the shorter side of the training crops, if it is known."""
    for key, dataset in all_datasets(cfg):
        for transform in dataset.get('pipeline') or ():
            size = transform.get('crop_size')
            if size and key.startswith('train'):
                return min(size) if isinstance(size, (list, tuple)) else size
    return None


def check_lr_end(cfg: Config) -> Iterator[str]:
    """Check that the learning rate reaches its end when the run ends."""
    ends = last_iterations(cfg)
    fading = [
        one['end'] for one in iteration_schedulers(cfg) if one.get('end') and (
            one.get('end_factor') == 0 or 'eta_min' in one or one['type'] in
            ('PolyLR', 'CosineAnnealingLR'))
    ]
    if not ends or not fading:
        return
    end, max_iters = max(fading), ends[-1] + 1
    # The published schedule ends one step after the run.
    if not 0 <= end - max_iters <= 1:
        effect = ('The rest trains nothing' if end < max_iters else
                  'The run ends while the rate is still high')
        yield (f'param_scheduler: the learning rate ends at iteration {end}, '
               f'but train_cfg.max_iters is {max_iters}. {effect}. Set the '
               'end of the last scheduler to max_iters.')


# -- the summary --------------------------------------------------------------


def summarize(cfg: Config,
              world_size: int,
              scaled: Optional[str] = None) -> str:
    """Summarise what a config trains in a number of processes.

    Args:
        cfg (Config): The config that the Runner gets.
        world_size (int): The number of processes.
        scaled (str, optional): The line of :func:`auto_scale`.

    Returns:
        str: A title, and lines of a name and a text.
    """
    lines = dict(schedule_lines(cfg, world_size))
    if scaled:
        lines['rescaled'] = scaled
    if is_afa(cfg) and cfg.model.get('affinity_head'):
        side = grid_side(cfg)
        grid = f' on a grid of {side} x {side}' if side else ''
        lines['affinity'] = f'radius of {radius_of(cfg)} cells{grid}'
    return '\n'.join(
        ['This run', *(f'  {name:<14}{text}' for name, text in lines.items())])


def schedule_lines(cfg: Config, world_size: int) -> Iterator[Tuple[str, str]]:
    """Yield the lines about images, iterations and rates."""
    images = images_per_iter(cfg, world_size)
    counts = cfg.optim_wrapper.get('accumulative_counts', 1)
    if images:
        processes = 'processes' if world_size > 1 else 'process'
        step = f', a step every {counts} iterations' if counts > 1 else ''
        yield 'images', (f'{images} an iteration: {world_size} {processes} x '
                         f'{cfg.train_dataloader.batch_size}{step}')
    loop = cfg.get('train_cfg') or {}
    if loop.get('max_iters'):
        seen = f', {loop.max_iters * images:,} images' if images else ''
        yield 'iterations', f'{loop.max_iters:,}{seen}'
    if is_afa(cfg) and last_iterations(cfg):
        classify, cam, last = last_iterations(cfg)
        labels = f', to {last} CAM labels'
        if cfg.model.get('affinity_head') and cam < last:
            labels = f', to {cam} CAM labels, to {last} refined labels'
        yield 'phases', f'0 to {classify} classification{labels}'
    optimizer = cfg.optim_wrapper.optimizer
    warm_up = next((f', warm-up of {step.end - 1:,} iterations'
                    for step in iteration_schedulers(cfg)
                    if step.get('begin', 0) == 0 and step.type == 'LinearLR'),
                   '')
    yield 'learning rate', f'{optimizer.lr:.4g} ({optimizer.type}){warm_up}'
    if loop.get('val_interval'):
        yield 'validation', f'every {loop.val_interval:,}'
    yield 'precision', precision(cfg.optim_wrapper)


def precision(wrapper: dict) -> str:
    """Name the precision that an optimizer wrapper computes in."""
    dtypes = dict(
        AmpOptimWrapper=wrapper.get('dtype', 'float16'),
        BFloat16OptimWrapper='bfloat16')
    dtype = dtypes.get(wrapper.get('type'))
    return f'mixed, {dtype}' if dtype else 'float32'
