# Copyright (c) mmseg_afa contributors. All rights reserved.
from collections import Counter
from typing import Dict, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from ...utils import UserError
from ..utils import resize, stack_image_labels, zero_gradients

POOLING = dict(gmp=F.adaptive_max_pool2d, gap=F.adaptive_avg_pool2d)


@MODELS.register_module()
class WSSSHead(BaseDecodeHead):
    """Predict segmentation, image labels and CAMs in one head.

    The segmentation branch fuses all feature maps as SegFormer's head does,
    without norm and activation after the per-level layers. The classification
    branch pools the last map. The CAM applies the classifier to that map
    before the pooling.

    Image labels train the classifier, masks train the segmentation. So the
    head also works in a plain EncoderDecoder, with any backbone.

    Args:
        pooling (str): Pooling before the classifier: 'gmp' (global maximum,
            as in the paper) or 'gap' (global average).
        loss_cls (dict): Config of the classification loss.
        kwargs: Arguments of BaseDecodeHead. `num_classes` includes the
            background.
    """

    def __init__(self,
                 in_channels: Sequence[int],
                 in_index: Sequence[int] = (0, 1, 2, 3),
                 pooling: str = 'gmp',
                 loss_cls: ConfigType = dict(type='MultiLabelSoftMarginLoss'),
                 loss_decode: ConfigType = dict(
                     type='BalancedSegLoss', loss_weight=0.1),
                 **kwargs) -> None:
        for key in ('conv_cfg', 'input_transform'):
            if found := kwargs.pop(key, None):
                raise UserError(
                    f'{key} of a decode head: found {found!r}. WSSSHead has '
                    'plain convolutions of all maps in in_index. Remove it.')
        super().__init__(
            in_channels=in_channels,
            in_index=in_index,
            input_transform='multiple_select',
            loss_decode=loss_decode,
            **kwargs)
        self.pool = POOLING[pooling]
        self.loss_cls = MODELS.build(loss_cls)
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, self.channels, 1)
            for channels in self.in_channels)
        self.fusion_conv = ConvModule(
            len(self.in_channels) * self.channels,
            self.channels,
            1,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg)
        self.classifier = nn.Conv2d(
            self.in_channels[-1], self.num_classes - 1, 1, bias=False)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the segmentation logits (B, num_classes, H_0, W_0).

        Args:
            inputs (Sequence[Tensor]): Feature maps (B, C_i, H_i, W_i), the
                finest first.
        """
        inputs = self._transform_inputs(inputs)
        fusion = self.fusion_conv
        # coarsest first: the order of the published weights
        parts = fusion.conv.weight.flatten(1).split(self.channels, 1)[::-1]
        # A bilinear resize between two linear layers commutes with them:
        # apply the product of both layers at each level's own size.
        levels = []
        for conv, part, x in zip(self.convs, parts, inputs):
            layer = torch.cat([conv.weight.flatten(1), conv.bias[:, None]], 1)
            weight, bias = (part @ layer).split((conv.in_channels, 1), 1)
            levels.append(F.conv2d(x, weight[..., None, None], bias[:, 0]))
        fused = sum(
            resize(level, inputs[0].shape[2:], self.align_corners)
            for level in levels)
        if fusion.conv.bias is not None:
            fused = fused + fusion.conv.bias[:, None, None]
        if fusion.with_norm:
            fused = fusion.norm(fused)
        if fusion.with_activation:
            fused = fusion.activate(fused)
        return self.cls_seg(fused)

    def image_logits(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the classification logits (B, num_classes - 1)."""
        x = self._transform_inputs(inputs)[-1]
        return self.classifier(self.pool(x, 1)).flatten(1)

    def cam(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute raw class activation maps (B, num_classes - 1, h, w)."""
        return self.classifier(self._transform_inputs(inputs)[-1])

    def loss_by_image_label(self, inputs: Sequence[Tensor],
                            image_label: Tensor) -> Dict[str, Tensor]:
        """Compute the classification loss under a label (B, C) multi-hot."""
        return {
            self.loss_cls.loss_name:
            self.loss_cls(self.image_logits(inputs), image_label)
        }

    def loss_by_label(self, seg_logits: Tensor,
                      label: Tensor) -> Dict[str, Tensor]:
        """Compute the segmentation losses under a label (B, H, W) int64."""
        seg_logits = resize(seg_logits.float(), label.shape[1:],
                            self.align_corners)
        weight = None
        if self.sampler is not None:
            weight = self.sampler.sample(seg_logits, label[:, None])
        parts = self.loss_decode if isinstance(
            self.loss_decode, nn.ModuleList) else [self.loss_decode]
        losses = Counter()  # adds up losses of one name
        for loss in parts:
            value = loss(
                seg_logits,
                label,
                weight=weight,
                ignore_index=self.ignore_index)
            losses.update({loss.loss_name: value})
        return losses

    def loss(self, inputs: Tuple[Tensor], batch_data_samples: SampleList,
             train_cfg: ConfigType) -> Dict[str, Tensor]:
        """Compute the losses of all labels that the samples carry."""
        losses = Counter()
        if 'gt_sem_seg' in batch_data_samples[0]:
            losses.update(super().loss(inputs, batch_data_samples, train_cfg))
        if 'image_label' in batch_data_samples[0]:
            label = stack_image_labels(batch_data_samples,
                                       self.num_classes - 1)
            losses.update(self.loss_by_image_label(inputs, label))
        if not losses:
            raise ValueError(
                'WSSSHead: the training samples have neither `image_label` '
                'nor `gt_sem_seg`. End the pipeline with PackWeakSegInputs.')
        # distributed training needs a gradient of both branches
        zero = zero_gradients(self.parameters())
        return {
            name: value + zero if 'loss' in name else value
            for name, value in losses.items()
        }
