# Copyright (c) mmseg_afa contributors. All rights reserved.
"""tools/train.py and tools/test.py in the processes of one tools/dist_run.sh.

Each process writes what it starts and ends with to ``rank_N.json``.
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

    @staticmethod
    def weights(runner) -> list:
        """The sum of each parameter, to the last bit."""
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
    runner = build_runner(cfg)
    runner.register_hook(Recorder())
    return runner


if __name__ == '__main__':
    launch_and_config, (_, work_dir, *options) = sys.argv[1:4], sys.argv[4:]
    build_runner, launch.build_runner = launch.build_runner, build_recorded
    train.main(sys.argv[1:])
    test.main([
        *launch_and_config, f'{work_dir}/iter_20.pth', '--work-dir',
        f'{work_dir}/test', *options
    ])
