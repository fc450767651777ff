# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The schedule of a config, for another number of images an iteration."""
from typing import Callable, Iterator, List, Optional, Tuple

from mmengine.config import Config, ConfigDict


def auto_scale(cfg: Config, world_size: int) -> Optional[str]:
    """Fit a schedule to the images of all processes, in place.

    A config says for how many images an iteration it was written by
    ``auto_scale_lr.base_batch_size``. With others it sees as many images as
    with those, in each phase, in warm-up and between validations: what counts
    iterations is multiplied by base / total, and rounded up. Schedules in
    epochs stay as they are.

    The learning rate is multiplied by sqrt(total / base) for optimizers of
    Adam's kind: they divide a gradient by its size, which is mostly noise, and
    that falls with the square root of the batch (Malladi et al., NeurIPS
    2022). For others the factor is total / base (Goyal et al., arXiv
    1706.02677), as mmengine has it for all with ``auto_scale_lr.enable``.

    Args:
        cfg (Config): The config; afterwards its base is the total.
        world_size (int): The number of processes.

    Returns:
        str, optional: What was done; None for nothing.
    """
    setting = cfg.get('auto_scale_lr') or {}
    base = setting.get('base_batch_size')
    total = images_per_iter(cfg, world_size)
    if not base or not total or base == total or setting.get('enable'):
        return None

    scale_iterations(cfg, lambda iterations: -(-iterations * base // total))
    optimizer = cfg.optim_wrapper.optimizer
    adam = 'Adam' in optimizer.type
    factor = (total / base)**(0.5 if adam else 1)
    optimizer.lr *= factor
    setting.base_batch_size = total
    rule = 'square root' if adam else 'linear'
    return (f'iterations x {base / total:.4g}, learning rate x {factor:.4g} '
            f'({rule}): the config is for {base} images an iteration. '
            '--no-auto-scale leaves it as it is')


def images_per_iter(cfg: Config, world_size: int) -> Optional[int]:
    """How many images all processes take in an iteration; None if the config
    does not say."""
    batch_size = (cfg.get('train_dataloader') or {}).get('batch_size')
    return batch_size and batch_size * world_size


def scale_iterations(cfg: Config, scaled: Callable[[int], int]) -> None:
    """Change what counts iterations, in place."""
    steps = iteration_schedulers(cfg)
    borders = {step.get('begin', 0) for step in steps}
    borders.add((cfg.get('train_cfg') or {}).get('max_iters'))
    for counts, key in iteration_counts(cfg):
        counts[key] = scaled(counts[key])
    for step in steps:
        # AFA's end one step after the next begins, or the run ends
        over = int(step.get('end', 0) - 1 in borders)
        if 'end' in step:
            step.end = scaled(step.end - over) + over
        for key in {'begin', 'T_max'} & step.keys():
            step[key] = scaled(step[key])
        if 'milestones' in step:
            step.milestones = list(map(scaled, step.milestones))


def iteration_counts(cfg: Config) -> Iterator[Tuple[ConfigDict, str]]:
    """Where a config counts iterations: dicts and their keys."""
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
    """The schedulers of a config that go by iterations."""
    found = cfg.get('param_scheduler') or []
    found = [found] if isinstance(found, dict) else found
    return [one for one in found if not one.get('by_epoch', True)]
