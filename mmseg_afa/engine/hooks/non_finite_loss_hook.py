# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import math
import os.path as osp
from typing import Dict, Optional

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_afa.models import AFA
from mmseg_afa.utils import random_state, set_random_state
from ...models.utils import unwrap


class NonFiniteLossError(FloatingPointError):
    """A training loss is infinite or no number."""


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Stops a training whose loss is infinite or no number, before the spoilt
    weights are saved, and keeps what the step was made of.

    In the work folder each process writes

    - ``non_finite_iter_N.json``: the losses, the phase, and of each image its
      file, crop and flip;
    - ``non_finite_iter_N.pth``: the batch and the random states before the
      step, for :func:`replay`.

    Of several processes each adds ``_rank_R`` to the names. N counts from 1,
    as the log and the names of checkpoints do.

    A float16 gradient that overflows is none of its business: the loss scaler
    skips that step.
    """

    # after RuntimeInfoHook, which waits for the losses anyway; before the
    # hooks that draw, log or save
    priority = 'HIGH'

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Optional[dict] = None) -> None:
        """Keep the random states that the step starts with."""
        self.random_state = random_state()

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        """Look at the losses.

        Raises:
            NonFiniteLossError: If one of them is infinite or no number.
        """
        # RuntimeInfoHook has them on the host: no GPU is waited for
        losses = {
            name: runner.message_hub.get_scalar(f'train/{name}').current()
            for name in outputs or () if 'loss' in name
        }
        bad = non_finite(losses)
        if not bad:
            return
        model = unwrap(runner.model)
        phase = model.phase(runner.iter) if isinstance(model, AFA) else None
        path = osp.join(runner.work_dir, f'non_finite_iter_{runner.iter + 1}')
        if get_world_size() > 1:
            path += f'_rank_{runner.rank}'
        samples = data_batch['data_samples']
        report = dict(
            iteration=runner.iter + 1,
            phase=phase,
            losses={
                **losses,
                **bad
            },
            images=[sample.metainfo for sample in samples])
        with open(f'{path}.json', 'w', encoding='utf-8') as file:
            # what a pipeline adds may be no plain value
            json.dump(report, file, indent=2, default=str)
        torch.save(
            dict(
                iteration=runner.iter + 1,
                random_state=self.random_state,
                inputs=list(data_batch['inputs']),
                data_samples=[plain(sample) for sample in samples]),
            f'{path}.pth')
        found = ', '.join(f'{name} is {value}' for name, value in bad.items())
        raise NonFiniteLossError(
            f'Iteration {runner.iter + 1}{f" ({phase})" if phase else ""}: '
            f'{found}. Training stops; these weights are not saved, the '
            'checkpoints in the work folder are from before. '
            f'{path}.json names the images, {path}.pth has the batch. Try a '
            'lower optim_wrapper.optimizer.lr, a longer warm-up, '
            'optim_wrapper.clip_grad.max_norm=1, or, if it is float16, '
            'bfloat16 (--amp) or none: docs/troubleshooting.md.')


def non_finite(losses: Dict[str, float]) -> Dict[str, str]:
    """The losses that are infinite or no number, spelt out: JSON has no
    such values."""
    return {
        name: str(value)
        for name, value in losses.items() if not math.isfinite(value)
    }


def plain(sample: SegDataSample) -> dict:
    """A data sample as what ``torch.load`` admits: tensors in a dict."""
    fields = {
        name: field.data if isinstance(field, PixelData) else field
        for name, field in sample.items()
    }
    return dict(
        img_path=sample.get('img_path'),
        img_box=sample.get('img_box'),
        num_tags=sample.get('num_tags'),
        fields=fields)


def replay(model: BaseModel, path: str) -> Dict[str, Tensor]:
    """The losses of the step that a NonFiniteLossHook kept.

    Args:
        model (BaseModel): With the weights to try it with, on its device.
        path (str): The ``non_finite_iter_N.pth``.

    Returns:
        dict[str, Tensor]: As of the model's ``loss``, in training mode.
    """
    step = torch.load(path, weights_only=True)
    samples = []
    for kept, image in zip(step['data_samples'], step['inputs']):
        size = tuple(image.shape[-2:])
        sample = SegDataSample(metainfo=dict(img_shape=size, pad_shape=size))
        for name, value in kept.pop('fields').items():
            mask = value.ndim == 3
            setattr(sample, name, PixelData(data=value) if mask else value)
        sample.set_metainfo({k: v for k, v in kept.items() if v is not None})
        samples.append(sample)
    MessageHub.get_current_instance().update_info('iter',
                                                  step['iteration'] - 1)
    batch = dict(inputs=step['inputs'], data_samples=samples)
    model.train()
    batch = model.data_preprocessor(batch, training=True)
    set_random_state(step['random_state'])
    return model(**batch, mode='loss')
