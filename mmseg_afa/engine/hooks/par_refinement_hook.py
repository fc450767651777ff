# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import List, Optional

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import HOOKS, MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType
from torch import Tensor, nn

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
        self._handle: Optional[torch.utils.hooks.RemovableHandle] = None

    def before_run(self, runner: Runner) -> None:
        """Give the refiner to the labeler, if there is one."""
        labeler = getattr(unwrap(runner.model), 'labeler', None)
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
        self._start(runner)

    def after_val(self, runner: Runner) -> None:
        """Stop refining predictions."""
        self._stop()

    def before_test(self, runner: Runner) -> None:
        """Start refining predictions."""
        self._start(runner)

    def after_test(self, runner: Runner) -> None:
        """Stop refining predictions."""
        self._stop()

    def _start(self, runner: Runner) -> None:
        if not self.refine_predictions:
            return
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        if isinstance(model, BaseTTAModel):
            raise TypeError(
                'PARRefinementHook: refine_predictions does not work with '
                'test-time augmentation; leave out --tta, or the hook')
        # Metrics see the predictions before any hook's after_*_iter: the
        # only place in between is the model's own output.
        self._handle = model.register_forward_hook(
            self._refine_output, with_kwargs=True)

    def _stop(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _refine_output(self, model: nn.Module, args: tuple, kwargs: dict,
                       output):
        if kwargs.get('mode') != 'predict':
            return output
        images = denormalize(kwargs['inputs'], model.data_preprocessor)
        return self.refine(images, output)

    def refine(self, images: Tensor,
               data_samples: List[SegDataSample]) -> List[SegDataSample]:
        """Refine the predictions of a batch.

        Args:
            images (Tensor): (B, 3, H, W), RGB in [0, 1].
            data_samples (list[SegDataSample]): With `seg_logits`
                (C, H0, W0) at the original size; one channel is read as the
                probability of the foreground.

        Returns:
            list[SegDataSample]: The same samples with a new `pred_sem_seg`.
        """
        for image, sample in zip(images, data_samples):
            logits = sample.seg_logits.data[None].float()
            prob = logits.softmax(1) if logits.shape[1] > 1 else torch.cat(
                [1 - logits, logits], 1)
            image = to_original(
                image[None], dict(sample.metainfo, ori_shape=prob.shape[-2:]))
            prob = self.refiner(image, prob)
            sample.set_data(dict(pred_sem_seg=PixelData(data=prob.argmax(1))))
        return data_samples


def unwrap(model: nn.Module) -> nn.Module:
    """The segmentor inside a distributed and a test-time-augmentation
    wrapper."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
