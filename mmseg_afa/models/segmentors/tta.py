# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional, Sequence

import torch
from mmengine.model import BaseTTAModel
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from ..utils import by_size, resize
from .afa import EXTRA_OUTPUTS


@torch.no_grad()
def multi_scale_logits(segmentor: nn.Module,
                       inputs: Tensor,
                       scales: Sequence[float] = (1., 0.5, 0.75),
                       flip: bool = True) -> Tensor:
    """Segmentation logits over scales: mean over the flip, maximum of scales.

    Args:
        segmentor (nn.Module): An EncoderDecoder.
        inputs (Tensor): (B, 3, H, W), normalised.
        scales (Sequence[float]): Factors of the input size; logits are
            merged on the grid of the first.
        flip (bool): Add the horizontal flip at each scale.

    Returns:
        Tensor: (B, C + 1, h, w) logits.
    """

    def forward(images):
        return segmentor.decode_head(segmentor.extract_feat(images)).float()

    merged = None
    for scale in scales:
        scaled = inputs
        if scale != 1:
            size = [max(int(scale * n), 1) for n in inputs.shape[-2:]]
            scaled = resize(inputs, size)
        logits = forward(scaled)
        if flip:
            logits = (logits + forward(scaled.flip(-1)).flip(-1)) / 2
        if merged is None:
            merged = logits
        else:
            merged = torch.maximum(merged, resize(logits, merged.shape[-2:]))
    return merged


@MODELS.register_module()
class MultiScaleMaxTTA(BaseTTAModel):
    """Test-time augmentation of AFA: mean of logits over the flip, maximum
    over scales (SegTTAModel averages probabilities).

    The scaling happens in here, so `tta_pipeline` is a plain test pipeline.

    Args:
        scales (Sequence[float]): Factors of the input size.
        flip (bool): Add the horizontal flip.
        kwargs: Of BaseTTAModel.
    """

    def __init__(self,
                 scales: Sequence[float] = (1., 0.5, 0.75),
                 flip: bool = True,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.scales = scales
        self.flip = flip

    def test_step(self, data: dict) -> SampleList:
        """Predict a batch, whose images may differ in size."""
        return by_size(self._test_step, data)

    def _test_step(self, data: dict) -> SampleList:
        data = self.module.data_preprocessor(data, False)
        return self.predict(data['inputs'], data['data_samples'])

    def predict(self, inputs: Tensor,
                data_samples: Optional[SampleList]) -> SampleList:
        """(B, 3, H, W) normalised images to samples with `pred_sem_seg`."""
        if any(map(self.module.test_cfg.get, EXTRA_OUTPUTS)):
            # CAMs are those of one scale, whatever merges the segmentation
            data_samples = self.module.predict(inputs, data_samples)
        logits = multi_scale_logits(self.module, inputs, self.scales,
                                    self.flip)
        logits = resize(logits, inputs.shape[-2:])
        return self.module.postprocess_result(logits, data_samples)

    def merge_preds(self, data_samples_list):
        """Not used: scales are merged as logits, before this."""
        raise NotImplementedError
