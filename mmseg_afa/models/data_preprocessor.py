# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Any, Dict

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS


@MODELS.register_module()
class WeakSegDataPreProcessor(SegDataPreProcessor):
    """SegDataPreProcessor that takes a batch of crops all at once.

    The bytes of the crops go to the device without the host waiting for it,
    and are put together, reordered and normalised there, a batch at a time.
    (SegDataPreProcessor does this image by image, and its reordering of the
    channels waits for the device each time.) What comes out is the same.
    Batches that need padding, and test batches, are left to the parent.

    Args:
        **kwargs: See :class:`mmseg.models.SegDataPreProcessor`.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self._non_blocking = True

    def forward(self, data: dict, training: bool = False) -> Dict[str, Any]:
        """Normalise a batch.

        Args:
            data (dict): 'inputs', a list of uint8 (3, H, W), and
                'data_samples'.
            training (bool): Whether the batch is one to train on.

        Returns:
            dict: 'inputs', float32 (B, 3, H, W), and 'data_samples'.
        """
        shapes = {tuple(image.shape) for image in data['inputs']}
        if not training or len(shapes) > 1 or self._needs_padding(shapes):
            return super().forward(data, training)
        data = self.cast_data(data)
        inputs = torch.stack(list(data['inputs']))
        if self.channel_conversion and inputs.shape[1] == 3:
            inputs = inputs.flip(1)
        inputs = inputs.float()
        if hasattr(self, 'mean'):
            inputs = inputs.sub_(self.mean).div_(self.std)
        return dict(inputs=inputs, data_samples=data.get('data_samples'))

    def _needs_padding(self, shapes: set) -> bool:
        size = next(iter(shapes))[-2:]
        divisor = self.size_divisor or 1
        return bool(self.batch_augments) or any(
            n % divisor for n in size) or (self.size is not None
                                           and tuple(self.size) != size)
