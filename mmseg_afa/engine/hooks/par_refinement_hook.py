# Copyright (c) mmseg_afa contributors. All rights reserved.
from functools import partial
from typing import Callable

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import HOOKS, MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmseg_afa.models import MultiScaleMaxTTA, refine_all
from mmseg_afa.models.utils import to_original


@HOOKS.register_module()
class PARRefinementHook(Hook):
    """Refines what a segmentor predicts, by pixel-adaptive refinement (PAR)
    or another refiner such as DenseCRF.

    With `refine_predictions` it does so at validation and test time, for any
    mmseg segmentor, also under MultiScaleMaxTTA; the images of a batch are
    refined together. Without, it gives a segmentor that makes pseudo labels
    the refiner for these; `model.labeler.refiner` in the config does the
    same and is not lost when a child config replaces the list of hooks.

    Args:
        refiner (dict): Config of the refiner. With `refine_predictions` a
            labeler that trains and has none gets this one; without, every
            labeler does. A test leaves labelers as they are trained.
        refine_predictions (bool): Refine `pred_sem_seg`. `seg_logits` keep
            the network's own output.

    Raises:
        TypeError: If there is nothing to do: the model has no labeler and
            predictions are not to be refined; or if predictions under
            mmseg's own test-time augmentation are to be refined.
    """

    priority = 'VERY_HIGH'

    def __init__(self,
                 refiner: ConfigType = dict(type='PAR'),
                 refine_predictions: bool = False) -> None:
        self.refiner = MODELS.build(refiner)
        self.refine_predictions = refine_predictions

    def before_run(self, runner: Runner) -> None:
        """Give the refiner to the labeler, if it is for that."""
        if not self.refine_predictions:
            self._give(runner, replace=True)

    def before_train(self, runner: Runner) -> None:
        """Give the refiner to a labeler that has none, and check that there
        is something to refine."""
        if self.refine_predictions:
            self._give(runner, replace=False)
            return
        model = unwrap(runner.model)
        if not hasattr(model, 'labeler'):
            raise TypeError(
                f'PARRefinementHook: {type(model).__name__} makes no pseudo '
                'labels (it has no `labeler`); set refine_predictions=True '
                'to refine what it predicts')

    def _give(self, runner: Runner, replace: bool) -> None:
        model = unwrap(runner.model)
        if isinstance(model, BaseTTAModel):
            model = model.module
        labeler = getattr(model, 'labeler', None)
        if labeler is not None and (replace or labeler.refiner is None):
            labeler.refiner = self.refiner

    def before_val(self, runner: Runner) -> None:
        """Start refining predictions."""
        self._start(runner, 'val_step')

    def after_val(self, runner: Runner) -> None:
        """Stop refining predictions."""
        self._stop(runner, 'val_step')

    def before_test(self, runner: Runner) -> None:
        """Start refining predictions."""
        self._start(runner, 'test_step')

    def after_test(self, runner: Runner) -> None:
        """Stop refining predictions."""
        self._stop(runner, 'test_step')

    def _start(self, runner: Runner, name: str) -> None:
        if not self.refine_predictions:
            return
        model = unwrap(runner.model)
        if isinstance(model, BaseTTAModel) and not isinstance(
                model, MultiScaleMaxTTA):
            raise TypeError(
                'PARRefinementHook: refine_predictions does not work with '
                f'{type(model).__name__}, which keeps no merged logits; take '
                "tta_model = dict(type='MultiScaleMaxTTA') with a plain "
                'tta_pipeline, or leave out --tta or the hook')
        # Metrics see the predictions before any hook's after_*_iter: the
        # only place in between is what the model's own step returns.
        setattr(model, name, partial(self._step, getattr(model, name)))

    def _stop(self, runner: Runner, name: str) -> None:
        if self.refine_predictions:
            delattr(unwrap(runner.model), name)  # back to the class's own

    def _step(self, step: Callable[[dict], SampleList],
              data: dict) -> SampleList:
        """Predict a batch and refine `pred_sem_seg` of all samples together,
        at the original size; `seg_logits` stay.

        Args:
            step (Callable): The model's own step.
            data (dict): 'inputs', images (3, H, W) in grey levels, and their
                'data_samples'.
        """
        # As the pipeline left them: padding that the data preprocessor adds
        # and notes is not in these images.
        metas = [sample.metainfo for sample in data['data_samples']]
        samples = step(data)
        images, masks = [], []
        for image, meta, sample in zip(data['inputs'], metas, samples):
            masks.append(probabilities(sample.seg_logits.data))
            meta = dict(meta, ori_shape=masks[-1].shape[-2:])
            image = to_original(image[None].to(masks[-1]) / 255, meta)
            images.append(image[0])
        refined = refine_all(self.refiner, images, masks)
        for sample, mask in zip(samples, refined):
            sample.pred_sem_seg = PixelData(data=mask.argmax(0, True))
        return samples


def probabilities(logits: Tensor) -> Tensor:
    """Of two or more classes, (C, H, W) float32, from `seg_logits`: one
    channel of these is the probability of the foreground."""
    logits = logits.float()
    if len(logits) == 1:
        return torch.cat([1 - logits, logits])
    return logits.softmax(0)


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model
