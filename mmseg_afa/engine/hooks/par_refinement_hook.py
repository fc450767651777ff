# Copyright (c) mmseg_afa contributors. All rights reserved.
from functools import partial

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner
from mmseg.registry import HOOKS, MODELS
from mmseg.utils import ConfigType

from ...models import MultiScaleMaxTTA
from ...models.segmentors.maps import predict_step
from ...models.utils import unwrap


@HOOKS.register_module()
class PARRefinementHook(Hook):
    """Refine the predictions of validation and test.

    It works for any segmentor of mmseg, also under MultiScaleMaxTTA. Training
    labels are not refined again. `seg_logits` keep the network's output.

    Args:
        refiner (dict): Config of the refiner, such as PAR or DenseCRF.
    """

    priority = 'VERY_HIGH'

    def __init__(self, refiner: ConfigType = dict(type='PAR')) -> None:
        self.refiner = MODELS.build(refiner)

    def before_run(self, runner: Runner) -> None:
        """Replace the steps of validation and test."""
        model = unwrap(runner.model)
        segmentor, options = model, dict(refiner=self.refiner)
        if isinstance(model, BaseTTAModel):
            if not isinstance(model, MultiScaleMaxTTA):
                raise TypeError(
                    f'PARRefinementHook: {type(model).__name__} keeps no '
                    "merged logits. Set tta_model=dict(type='MultiScaleMaxTTA'"
                    ') with a plain tta_pipeline, or leave out --tta.')
            segmentor, options['tta'] = model.module, model.tta
        # Metrics see the predictions before any hook's after_*_iter: the
        # only place in between is the result of the model's own step.
        model.val_step = model.test_step = partial(predict_step, segmentor,
                                                   **options)
