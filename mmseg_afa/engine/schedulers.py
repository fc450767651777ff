# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Resume with the schedule of the config."""
import warnings

from mmengine.optim import OptimWrapper
from mmengine.runner import Runner


def restart_schedulers(runner: Runner, checkpoint: dict) -> None:
    """Advance the config's schedulers to a checkpoint, and keep their values.

    Args:
        runner (Runner): Its schedulers have not made a step.
        checkpoint (dict): Changed in place: the optimizer's groups get the
            values of the schedulers, whose states are removed.
    """
    schedulers = runner.param_schedulers or []
    if not isinstance(runner.optim_wrapper, OptimWrapper) or any(
            scheduler.by_epoch for scheduler in schedulers):
        return
    checkpoint.pop('param_schedulers', None)
    with warnings.catch_warnings():
        # torch's advice to step the optimizer first
        warnings.simplefilter('ignore', UserWarning)
        for _ in range(checkpoint['meta']['iter']):
            for scheduler in schedulers:
                scheduler.step()
    names = {'lr', *(scheduler.param_name for scheduler in schedulers)}
    state = checkpoint['optimizer']
    # mmengine keeps a group without parameters, for the rate that it logs.
    groups = [*state['param_groups'], state.get('base_param_settings')]
    for group, saved in zip(runner.optim_wrapper.param_groups, groups):
        for name in names:
            for key in (name, f'initial_{name}'):
                if key in group:
                    saved[key] = group[key]
