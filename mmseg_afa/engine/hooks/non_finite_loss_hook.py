# Copyright (c) mmseg_afa contributors. All rights reserved.
import math
import os.path as osp
from typing import Optional

import mmengine
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from ...models import AFA
from ...models.utils import unwrap
from ...utils import UserError


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Stop a training when a loss is infinite or not a number.

    The weights of that step are not saved. ``non_finite_iter_N.json`` in the
    work folder names the losses, the phase and the images. Of several
    processes, each adds ``_rank_R`` to the name.
    """

    # After RuntimeInfoHook, which copies the losses from the GPU. Before the
    # hooks that log or save.
    priority = 'HIGH'

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Check the losses of a step."""
        hub = runner.message_hub
        # As text: JSON has no such numbers.
        losses = {
            name: str(hub.get_scalar(f'train/{name}').current())
            for name in outputs or () if 'loss' in name
        }
        wrong = [
            f'{name} is {value}' for name, value in losses.items()
            if not math.isfinite(float(value))
        ]
        if not wrong:
            return
        step = runner.iter + 1
        model = unwrap(runner.model)
        phase = model.phase(runner.iter) if isinstance(model, AFA) else None
        rank = f'_rank_{runner.rank}' if get_world_size() > 1 else ''
        path = osp.join(runner.work_dir, f'non_finite_iter_{step}{rank}.json')
        report = dict(
            iteration=step,
            phase=phase,
            losses=losses,
            images=[sample.metainfo for sample in data_batch['data_samples']])
        mmengine.dump(report, path, indent=2, default=str)
        raise UserError(
            f'Iteration {step}{f" ({phase})" if phase else ""}: '
            f'{", ".join(wrong)}. '
            'Training stops, and these weights are not saved: all '
            f'checkpoints in the work folder are older. {path} names the '
            'images. Lower optim_wrapper.optimizer.lr, lengthen the warm-up, '
            'set optim_wrapper.clip_grad.max_norm=1, or replace float16 by '
            'bfloat16 (--amp). See docs/troubleshooting.md.')
