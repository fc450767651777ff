# Copyright (c) mmseg_afa contributors. All rights reserved.
from collections import Counter

import torch
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import OptConfigType, SampleList, add_prefix
from torch import Tensor

from ...utils import UserError
from ..pseudo_labels.boxes import box_mask
from ..utils import denormalize, resize, stack_boxes


@MODELS.register_module()
class RegularizedEncoderDecoder(EncoderDecoder):
    """EncoderDecoder with a regularised loss, which also sees the image.

    The losses of a decode head see logits and label only. A regularised loss
    such as DenseEnergyLoss asks that pixels of similar colour get the same
    class, also where the label ignores them.

    Args:
        loss_reg (dict, optional): Regularised loss. Without it this is an
            EncoderDecoder.
        kwargs: Arguments of EncoderDecoder. The loss of the decode head must
            be mmseg's ``loss_by_feat`` of its ``forward``, as in most heads.
    """

    def __init__(self, loss_reg: OptConfigType = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.loss_reg = MODELS.build(loss_reg) if loss_reg else None
        if self.decode_head.threshold is not None:
            raise UserError(
                'model.decode_head.threshold: found '
                f'{self.decode_head.threshold}. {type(self).__name__} '
                'compares the outputs of at least two classes. Remove '
                'out_channels and threshold, and count the background in '
                'num_classes.')

    def images(self, inputs: Tensor) -> Tensor:
        """Convert the network's input to RGB in [0, 1], see `denormalize`."""
        return denormalize(inputs, self.data_preprocessor)

    def regularize(self, seg_logits: Tensor, label: Tensor, image: Tensor,
                   boxes: Tensor) -> dict:
        """Compute the regularised loss, if there is one, by its name."""
        if self.loss_reg is None:
            return dict()
        size = image.shape[-2:]
        return {
            self.loss_reg.loss_name:
            self.loss_reg(
                resize(seg_logits, size, self.align_corners), label, image,
                box_mask(boxes, size), self.decode_head.ignore_index)
        }

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict:
        """Compute the losses of a step under masks.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            data_samples (list[SegDataSample]): With `gt_sem_seg`.

        Returns:
            dict[str, Tensor]: Losses `decode.*` and, of auxiliary heads,
            `aux.*`.
        """
        feats = self.extract_feat(inputs)
        seg_logits = self.decode_head(feats)
        losses = Counter(  # adds up losses of one name
            self.decode_head.loss_by_feat(seg_logits, data_samples))
        label = torch.cat([s.gt_sem_seg.data for s in data_samples])
        if self.loss_reg is not None:
            losses.update(
                self.regularize(seg_logits, label, self.images(inputs),
                                stack_boxes(data_samples, inputs)))
        losses = add_prefix(losses, 'decode')
        if self.with_auxiliary_head:
            losses.update(
                self._auxiliary_head_forward_train(feats, data_samples))
        return losses
