# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import random
from pathlib import Path

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class RankRecorder(Hook):
    """Writes what each process starts and ends with to ``rank_N.json``."""

    def record(self, runner, **values) -> None:
        path = Path(runner.work_dir, f'rank_{runner.rank}.json')
        before = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(dict(before, **values)))

    @staticmethod
    def weights(runner) -> list:
        """The sum of each parameter, to the last bit."""
        return [p.double().sum().item() for p in runner.model.parameters()]

    def before_train(self, runner) -> None:
        self.record(
            runner,
            before=self.weights(runner),
            drawn=[random.random(),
                   np.random.rand(),
                   torch.rand(()).item()])

    def after_train(self, runner) -> None:
        self.record(runner, after=self.weights(runner))
