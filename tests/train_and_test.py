# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train, resume, train in mixed precision and test in one start of processes.

tools/dist_run.sh starts it for tests/test_training.py. Each process writes
what the first training begins and ends with to ``rank_N.json``.
"""
import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_afa.engine import launch
from tools import test, train


class Recorder(Hook):
    """Record weights and random numbers of a process."""

    @staticmethod
    def weights(runner) -> list:
        """Sum each parameter, to the last bit."""
        return [p.double().sum().item() for p in runner.model.parameters()]

    def before_train(self, runner) -> None:
        self.record = dict(
            before=self.weights(runner),
            drawn=[random.random(),
                   np.random.rand(),
                   torch.rand(()).item()])

    def after_train(self, runner) -> None:
        self.record['after'] = self.weights(runner)
        path = Path(runner.work_dir, f'rank_{runner.rank}.json')
        path.write_text(json.dumps(self.record))


def build_recorded(cfg) -> Runner:
    """Build a Runner with a Recorder."""
    runner = build_runner(cfg)
    runner.register_hook(Recorder())
    return runner


if __name__ == '__main__':
    start, (folder, middle, last, *options) = sys.argv[1:4], sys.argv[4:]

    def run(main, name, *arguments):
        """Run a tool in a work folder of its own."""
        main([
            *start, *arguments, '--work-dir', f'{folder}/{name}',
            '--cfg-options', *options, f'experiment_name={name}'
        ])

    build_runner, launch.build_runner = launch.build_runner, build_recorded
    run(train.main, 'whole')
    launch.build_runner = build_runner
    run(train.main, 'resumed', '--resume', f'{folder}/whole/{middle}')
    run(train.main, 'amp', '--amp')
    run(test.main, 'tested', f'{folder}/whole/{last}')
