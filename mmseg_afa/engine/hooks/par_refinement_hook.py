# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import List

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import HOOKS, MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType
from torch import nn

from mmseg_afa.models.utils import denormalize, to_original


@HOOKS.register_module()
class PARRefinementHook(Hook):
    """Refines what a segmentor predicts by pixel-adaptive refinement (PAR).

    With `refine_predictions` it does so at validation and test time, for any
    mmseg segmentor. Without, it gives a segmentor that makes pseudo labels
    the refiner for these; `model.labeler.refiner` in the config does the
    same and is not lost when a child config replaces the list of hooks.

    Args:
        refiner (dict): Config of the refiner. A labeler that has none gets
            this one; one that has another keeps it with `refine_predictions`
            and changes to this one without.
        refine_predictions (bool): Refine `pred_sem_seg`. `seg_logits` keep
            the network's own output.

    Raises:
        TypeError: If there is nothing to do: the model has no labeler and
            predictions are not to be refined; or if predictions under
            test-time augmentation are to be refined.
    """

    priority = 'VERY_HIGH'

    def __init__(self,
                 refiner: ConfigType = dict(type='PAR'),
                 refine_predictions: bool = False) -> None:
        self.refiner = MODELS.build(refiner)
        self.refine_predictions = refine_predictions

    def before_run(self, runner: Runner) -> None:
        """Give the refiner to the labeler, if there is one."""
        model = unwrap(runner.model)
        if isinstance(model, BaseTTAModel):
            model = model.module
        labeler = getattr(model, 'labeler', None)
        if labeler is not None and (labeler.refiner is None
                                    or not self.refine_predictions):
            labeler.refiner = self.refiner

    def before_train(self, runner: Runner) -> None:
        """Check that there is something to refine."""
        model = unwrap(runner.model)
        if not hasattr(model, 'labeler') and not self.refine_predictions:
            raise TypeError(
                f'PARRefinementHook: {type(model).__name__} makes no pseudo '
                'labels (it has no `labeler`); set refine_predictions=True '
                'to refine what it predicts')

    def before_val(self, runner: Runner) -> None:
        """Start refining predictions."""
        if not self.refine_predictions:
            return
        model = unwrap(runner.model)
        if isinstance(model, BaseTTAModel):
            raise TypeError(
                'PARRefinementHook: refine_predictions does not work with '
                'test-time augmentation; leave out --tta, or the hook')
        # Metrics see the predictions before any hook's after_*_iter: the
        # only place in between is the model's own output.
        self._handle = model.register_forward_hook(
            self._refine, with_kwargs=True)

    def after_val(self, runner: Runner) -> None:
        """Stop refining predictions."""
        if self.refine_predictions:
            self._handle.remove()

    before_test, after_test = before_val, after_val

    def _refine(self, model: nn.Module, args: tuple, kwargs: dict,
                data_samples: List[SegDataSample]) -> None:
        """Replace `pred_sem_seg` in what a model returned.

        `seg_logits` are (C, H0, W0) at the original size; one channel is the
        probability of the foreground.
        """
        if kwargs.get('mode') != 'predict':
            return
        images = denormalize(kwargs['inputs'], model.data_preprocessor)
        for image, sample in zip(images, data_samples):
            logits = sample.seg_logits.data[None].float()
            prob = logits.softmax(1) if logits.shape[1] > 1 else torch.cat(
                [1 - logits, logits], 1)
            image = to_original(
                image[None], dict(sample.metainfo, ori_shape=prob.shape[-2:]))
            prob = self.refiner(image, prob)
            sample.set_data(dict(pred_sem_seg=PixelData(data=prob.argmax(1))))


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model
