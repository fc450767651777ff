# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Callable, List, Optional, Sequence

import torch
from mmengine.model import BaseTTAModel
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from ..utils import by_size, resize
from .prediction import EXTRA_OUTPUTS


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


def tiled_logits(forward: Callable[[Tensor], Tensor],
                 inputs: Tensor,
                 tile: int,
                 overlap: int = 128) -> Tensor:
    """Logits of an image that is too large for one pass, tile by tile.

    Where tiles overlap their logits are averaged. Only logits at a quarter of
    the image's size are kept, to which those of networks with another stride
    are resized: 4000 x 3000 pixels and 21 classes are 63 MB there, and 1 GB
    at the size of the image.

    Args:
        forward (Callable): (1, 3, h, w) to logits (1, C + 1, ...) on the
            network's grid; see :func:`multi_scale_logits`.
        inputs (Tensor): (1, 3, H, W), normalised.
        tile (int): Side of a tile in pixels, larger than the overlap.
        overlap (int): Pixels that neighbouring tiles share, at least.

    Returns:
        Tensor: (1, C + 1, H / 4, W / 4), rounded up.

    Raises:
        ValueError: If a tile is not larger than the overlap.
    """
    if tile <= overlap:
        raise ValueError(f'a tile of {tile} pixels must be larger than the '
                         f'overlap of {overlap}')
    stride = (tile - overlap) // 4 * 4  # tiles begin at cells of the grid
    height, width = inputs.shape[-2:]
    total = count = None
    for top in range(0, max(height - overlap, 1), stride):
        for left in range(0, max(width - overlap, 1), stride):
            part = inputs[..., top:top + tile, left:left + tile]
            logits = resize(forward(part), quarter(part.shape[-2:]))
            if total is None:
                grid = quarter((height, width))
                total = logits.new_zeros(1, logits.shape[1], *grid)
                count = logits.new_zeros(grid)
            rows = slice(top // 4, top // 4 + logits.shape[2])
            cols = slice(left // 4, left // 4 + logits.shape[3])
            total[..., rows, cols] += logits
            count[rows, cols] += 1
    return total.div_(count)


def quarter(size: Sequence[int]) -> List[int]:
    """A quarter of a height and a width, rounded up."""
    return [-(-n // 4) for n in size]


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
