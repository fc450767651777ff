# Copyright (c) mmseg_afa contributors. All rights reserved.
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mmseg_afa.models.utils import unwrap


@HOOKS.register_module()
class SpoilHook(Hook):
    """Fill a parameter with NaN before a step, in one process."""

    priority = 'VERY_HIGH'

    def __init__(self, iteration: int, parameter: str, rank: int = 0) -> None:
        self.iteration, self.parameter = iteration, parameter
        self.rank = rank

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        if (runner.iter, runner.rank) == (self.iteration, self.rank):
            model = unwrap(runner.model)
            model.get_parameter(self.parameter).data.fill_(float('nan'))
