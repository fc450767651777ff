# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train in several ways, resume and test in one start of processes.

tools/dist_run.sh starts it for tests/test_training.py. Each process writes
random numbers of the first training to ``rank_N.json``.
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

# A single image has a mask: most batches have none in one of two processes.
TRUSTED = [
    'train_dataloader.dataset.trusted_masks=trusted',
    'model.train_cfg.cam_iters=5', 'model.train_cfg.switch_iter=6'
]


class Recorder(Hook):
    """Record random numbers of a process."""

    def before_train(self, runner) -> None:
        drawn = random.random(), np.random.rand(), torch.rand(()).item()
        path = Path(runner.work_dir, f'rank_{runner.rank}.json')
        path.write_text(json.dumps(drawn))


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
    options += TRUSTED
    run(train.main, 'trusted')
    options = options[:-len(TRUSTED)]
    run(test.main, 'tested', f'{folder}/whole/{last}')
