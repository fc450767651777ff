# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Sequence

from mmengine.model import BaseTTAModel
from mmseg.registry import MODELS
from mmseg.utils import SampleList

from .logits import TTA
from .maps import predict_step


@MODELS.register_module()
class MultiScaleMaxTTA(BaseTTAModel):
    """Augment AFA at test time: mean over the flip, maximum over scales.

    Both are taken of logits, where mmseg's SegTTAModel averages
    probabilities. The scaling happens in here, so `tta_pipeline` is a plain
    test pipeline. Sources other than the segmentation are not augmented.

    Args:
        scales (Sequence[float]): Factors of the input size.
        flip (bool): Add the horizontal flip.
        kwargs: Arguments of BaseTTAModel.
    """

    def __init__(self,
                 scales: Sequence[float] = (1., 0.5, 0.75),
                 flip: bool = True,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.tta = TTA(tuple(scales), flip)

    def test_step(self, data: dict) -> SampleList:
        """Predict a batch, whose images may differ in size."""
        return predict_step(self.module, data, tta=self.tta)

    def merge_preds(self, data_samples_list):
        """Raise: scales are merged as logits, before this."""
        raise NotImplementedError
