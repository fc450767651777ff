# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What a training will do, in one block at its start."""
from typing import Iterator, Optional, Tuple

from mmengine.config import Config

from ..models.segmentors.schedule import complete_train_cfg
from .auto_scale import images_per_iter, iteration_schedulers
from .preflight import PAPER_RADIUS, grid_side, is_afa, phases


def run_summary(cfg: Config,
                world_size: int,
                scaled: Optional[str] = None) -> str:
    """What a config trains in a number of processes.

    Args:
        cfg (Config): As the Runner gets it.
        world_size (int): The number of processes.
        scaled (str, optional): What :func:`auto_scale` says it did.

    Returns:
        str: Lines of a name and what there is to say.
    """
    lines = [*schedule_lines(cfg, world_size)]
    if scaled:
        lines.append(('scaled', scaled))
    if is_afa(cfg):
        lines += method_lines(cfg)
    return '\n'.join(
        ['This run', *(f'  {name:<14}{text}' for name, text in lines)])


def schedule_lines(cfg: Config, world_size: int) -> Iterator[Tuple[str, str]]:
    """Images, iterations and rates."""
    images = images_per_iter(cfg, world_size)
    if images:
        yield 'images', (f'{images} an iteration: {world_size} '
                         f'{"processes" if world_size > 1 else "process"} x '
                         f'{cfg.train_dataloader.batch_size}')
    loop = cfg.get('train_cfg') or {}
    iterations = loop.get('max_iters')
    if iterations:
        seen = f', {iterations * images:,} images' if images else ''
        yield 'iterations', f'{iterations:,}{seen}'
    if phases(cfg) and is_afa(cfg):
        classify, switch, last = phases(cfg)
        cam = (f', to {switch} CAM labels, to {last} refined labels' if
               cfg.model.get('affinity_head') else f', to {last} CAM labels')
        yield 'phases', f'0 to {classify} classification{cam}'
    optimizer = cfg.optim_wrapper.optimizer
    warm_up = next((step.end - 1 for step in iteration_schedulers(cfg)
                    if step.get('begin', 0) == 0 and step.type == 'LinearLR'),
                   None)
    yield 'learning rate', (
        f'{optimizer.lr:.4g} ({optimizer.type})' +
        (f', warm-up of {warm_up:,} iterations' if warm_up else ''))
    if loop.get('val_interval'):
        yield 'validation', f'every {loop.val_interval:,}'
    yield 'precision', precision(cfg)


def precision(cfg: Config) -> str:
    """What the optimizer's wrapper computes in."""
    wrapper = cfg.optim_wrapper
    if wrapper.get('type') == 'AmpOptimWrapper':
        return f'mixed, {wrapper.get("dtype", "float16")}'
    if wrapper.get('type') == 'BFloat16OptimWrapper':
        return 'mixed, bfloat16'
    return 'float32'


def method_lines(cfg: Config) -> Iterator[Tuple[str, str]]:
    """Which parts of the method are on."""
    model = cfg.model
    schedule = complete_train_cfg(model.get('train_cfg') or {})
    parts = schedule['accumulative_counts']
    if parts > 1:
        yield 'accumulation', f'a batch goes through in {parts} parts'
    yield 'CAM scales', ', '.join(f'{s:g}' for s in schedule['cam_scales'])
    labeler = model.get('labeler') or {}
    if model.get('affinity_head'):
        side = grid_side(cfg)
        grid = f', in a grid of {side} x {side}' if side else ''
        radius = labeler.get('radius', PAPER_RADIUS)
        yield 'affinity', f'radius of {radius} cells{grid}'
    else:
        yield 'affinity', 'none'
    refiner = labeler.get('refiner') or {}
    if refiner.get('type') == 'PAR':
        yield 'PAR', f'{refiner.get("num_iter", 10)} iterations'
    else:
        yield 'PAR', refiner.get('type', 'none')
    regularised = model.get('loss_reg') or {}
    yield 'regularised', regularised.get('type', 'none')
