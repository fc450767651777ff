# Copyright (c) mmseg_afa contributors. All rights reserved.
from contextlib import nullcontext
from typing import (Callable, Dict, Iterator, List, NamedTuple, Optional,
                    Sequence, Tuple)

import torch
from mmengine.dist import all_reduce_dict
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, OptConfigType, SampleList, add_prefix
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ... import compat
from ..pseudo_labels import PresentClasses, multi_scale_cam
from ..utils import (AttentionLogits, evaluating, first_images, most_classes,
                     stack_boxes, stack_image_labels, zero_gradients)
from .prediction import PredictionMixin
from .regularized import RegularizedEncoderDecoder
from .schedule import (CAM_LABELS, CLASSIFY, REFINED_LABELS,
                       complete_train_cfg, current_iteration, phase_of)


class PseudoLabels(NamedTuple):
    """What supervises a step, (B, H, W) int64 each: `seg` the segmentation,
    `affinity` the pairs of its pixels."""
    seg: Tensor
    affinity: Tensor


@MODELS.register_module()
class AFA(PredictionMixin, RegularizedEncoderDecoder):
    """Learning Affinity from Attention (CVPR 2022, arXiv 2203.02664).

    Args:
        affinity_head (dict, optional): Turns attention logits of the backbone
            into affinity. Without one, CAM labels supervise segmentation
            throughout: the method without affinity.
        labeler (dict): Config of the labeler, by default a PseudoLabeler,
            which owns its refiner.
        train_cfg (dict):
            cam_scales: Scales of the CAM passes.
            cam_eval_mode: Run them in evaluation mode; the published code
                does not (stochastic depth stays on).
            cam_flip_in_batch: Run images and flipped images in one pass:
                fewer and larger kernels for a GPU, other random numbers for
                stochastic depth.
            cam_iters: Classification only while iteration <= cam_iters.
            switch_iter: CAM labels supervise the segmentation while
                iteration <= switch_iter, refined labels after that.
            affinity_label_from: What the affinity learns from: 'cam', the
                CAM label always, as on VOC, or 'seg', the segmentation label
                in force, as on COCO.
            accumulative_counts: In how many parts the images of a process go
                through the backbone, for a device that cannot hold all at
                once. The gradients of the parts are summed, and losses and
                the batch normalisation of the heads are those of the whole
                batch. Each part passes once more, in the backward pass.
        test_cfg (dict): Besides mmseg's:
            with_cam: Predictions carry CAMs and image-level scores.
            with_affinity_cam: They carry the affinity's CAM as well.
            with_pseudo_labels: And the labels that training would make,
                which takes as long as a training step's labels do.
            cam_scales: Scales of the CAM then; default (1, ).
        compile_cfg (dict, optional): Arguments of torch.compile, {} for its
            defaults: the backbone's training passes are compiled, one graph
            for each of the crop's scales.
        kwargs: Of RegularizedEncoderDecoder.

    Raises:
        ValueError: For settings of train_cfg that make no sense.
    """

    def __init__(self,
                 affinity_head: OptConfigType = None,
                 labeler: ConfigType = dict(),
                 compile_cfg: OptConfigType = None,
                 train_cfg: OptConfigType = None,
                 test_cfg: OptConfigType = None,
                 **kwargs) -> None:
        super().__init__(
            train_cfg=complete_train_cfg(train_cfg or {}),
            test_cfg=test_cfg,
            **kwargs)
        self.affinity_head = (
            MODELS.build(affinity_head) if affinity_head else None)
        self.labeler = MODELS.build({
            'type': 'PseudoLabeler',
            'ignore_index': self.decode_head.ignore_index,
            **labeler
        })
        # Validation images have sizes of their own: these are not compiled.
        self._compiled_backbone = None
        if compile_cfg is not None:
            self._compiled_backbone = torch.compile(
                self.backbone.forward, **{
                    'dynamic': False,
                    **compile_cfg
                })

    # -- forward passes ----------------------------------------------------
    def extract_feat(self, inputs: Tensor, with_attention: bool = False):
        """Feature maps, and where asked for the attention logits.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            with_attention (bool): Return (feature maps, attention logits).
        """
        backbone = self.backbone
        if self.training and self._compiled_backbone is not None:
            backbone = self._compiled_backbone
        if not with_attention:
            feats, attentions = backbone(inputs), None
        else:
            feats, attentions = backbone(inputs, with_attention=True)
        feats = self.neck(feats) if self.with_neck else feats
        return (feats, attentions) if with_attention else feats

    def features(
            self,
            inputs: Tensor) -> Tuple[Sequence[Tensor], List[AttentionLogits]]:
        """Feature maps (B, C_i, H_i, W_i), finest first, and the attention
        logits that the affinity head reads; none without such a head."""
        if self.affinity_head is None:
            return self.extract_feat(inputs), []
        return self.extract_feat(inputs, with_attention=True)

    def cam_and_affinity(self, inputs: Tensor,
                         num_affinity: int) -> Tuple[Tensor, Optional[Tensor]]:
        """Raw CAM of images, and the affinity of the first of them.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            num_affinity (int): How many affinities are wanted.

        Returns:
            tuple[Tensor, Tensor or None]: (B, C, h, w), and
            (num_affinity, N, N) or, for 0, None.
        """
        if num_affinity == 0 or self.affinity_head is None:
            return self.decode_head.cam(self.extract_feat(inputs)), None
        feats, attentions = self.extract_feat(inputs, with_attention=True)
        attentions = [first_images(a, num_affinity) for a in attentions]
        return self.decode_head.cam(feats), self.affinity(feats, attentions)

    def affinity(self, feats: Sequence[Tensor],
                 attentions: Sequence[Tensor]) -> Tensor:
        """Affinity (B, N, N) of the cells of the last feature map.

        Raises:
            ValueError: If the attention is on another grid.
        """
        affinity = self.affinity_head(attentions)
        grid = tuple(feats[-1].shape[2:])
        if affinity.shape[1] != grid[0] * grid[1]:
            raise ValueError(
                f'the attention of backbone.attn_blocks has '
                f'{affinity.shape[1]} cells, the CAM {grid}; name blocks '
                'that attend on the grid of the last feature map')
        return affinity

    def features_and_affinity(self, inputs: Tensor) -> Tuple[Tensor, ...]:
        """Feature maps (B, C_i, H_i, W_i), finest first, and if there is an
        affinity head as the last the affinity (B, N, N)."""
        feats, attentions = self.features(inputs)
        if self.affinity_head is None:
            return tuple(feats)
        return (*feats, self.affinity(feats, attentions))

    # -- training ----------------------------------------------------------
    def in_parts(self, *batch: Tensor) -> Iterator[Tuple[Tensor, ...]]:
        """Split tensors of a batch; see `accumulative_counts`."""
        number = self.train_cfg['accumulative_counts']
        return zip(*(x.chunk(number) for x in batch))

    def accumulated(self, forward: Callable[[Tensor], Sequence[Tensor]],
                    inputs: Tensor) -> Sequence[Tensor]:
        """A forward pass of a batch in its parts.

        What the parts need for their gradients is not kept but computed again,
        one part after another.
        """
        if self.train_cfg['accumulative_counts'] == 1:
            return forward(inputs)
        outputs = [
            checkpoint(forward, part, use_reentrant=False)
            for part, in self.in_parts(inputs)
        ]
        return tuple(map(torch.cat, zip(*outputs)))

    def phase(self, iteration: int) -> str:
        """The phase of the schedule that an iteration (from 0) is in."""
        phase = phase_of(iteration, self.train_cfg)
        if phase == REFINED_LABELS and self.affinity_head is None:
            return CAM_LABELS
        return phase

    @compat.no_grad
    def train_cam(
        self, inputs: Tensor, classes: PresentClasses, with_affinity: bool
    ) -> Tuple[Tensor, Optional[Tensor], Tuple[int, int]]:
        """The multi-scale CAM that labels are made of; see
        :func:`multi_scale_cam`.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            classes (PresentClasses): The classes whose CAMs are wanted.
            with_affinity (bool): Whether the affinity is.
        """
        cfg = self.train_cfg

        def forward(images, num_affinity):
            cam, affinity = self.cam_and_affinity(
                images, num_affinity if with_affinity else 0)
            return classes.select_channels(cam), affinity

        mode = evaluating(
            self.backbone) if cfg['cam_eval_mode'] else nullcontext()
        with mode:
            return multi_scale_cam(forward, inputs, cfg['cam_scales'],
                                   cfg['cam_flip_in_batch'])

    @compat.no_grad
    def pseudo_labels(self, inputs: Tensor, classes: PresentClasses,
                      boxes: Tensor, phase: str) -> PseudoLabels:
        """Labels made of the network's own CAM and affinity.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            classes (PresentClasses): What the images show.
            boxes (Tensor): (B, 4), the part of the crop that shows image.
            phase (str): 'cam' for the CAM label, 'affinity' for the affinity
                label.

        Returns:
            PseudoLabels: What supervises segmentation and affinity.
        """
        cam, affinity, grid = self.train_cam(inputs, classes,
                                             phase == REFINED_LABELS)
        image = self.images(inputs)
        affinity_from_cam = self.train_cfg['affinity_label_from'] == 'cam'
        if phase == CAM_LABELS or affinity_from_cam:
            cam_label = self.labeler.cam_label(cam, classes, boxes, image)
        if phase == CAM_LABELS:
            return PseudoLabels(cam_label, cam_label)
        seg = self.labeler.refined_label(cam, classes, boxes, image, affinity,
                                          grid)
        return PseudoLabels(seg, cam_label if affinity_from_cam else seg)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict:
        """Losses of one step, by the phase of the schedule.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            data_samples (list[SegDataSample]): With `image_label` and
                `img_box`.

        Returns:
            dict[str, Tensor]: Losses `decode.*` and `affinity.*`, and the
            shares of foreground and ignored pixels in the label.
        """
        phase = self.phase(current_iteration())
        image_label = stack_image_labels(data_samples,
                                         self.decode_head.num_classes - 1)
        if phase == CLASSIFY:
            losses = self.decode_head.loss_by_image_label(
                self.accumulated(self.extract_feat, inputs), image_label)
            # The published run's optimizer counts these steps for the heads
            # too.
            zero = zero_gradients(p for name, p in self.named_parameters()
                                  if not name.startswith('backbone.'))
            return add_prefix({
                k: v + zero
                for k, v in losses.items()
            }, 'decode')

        boxes = stack_boxes(data_samples, inputs)
        most = most_classes(data_samples)
        labels = [
            self.pseudo_labels(part, PresentClasses.from_image_label(shown, most), box,
                               phase)
            for part, shown, box in self.in_parts(inputs, image_label, boxes)
        ]
        labels = PseudoLabels(*map(torch.cat, zip(*labels)))
        return self.loss_by_label(inputs, image_label, boxes, labels)

    def loss_by_label(self, inputs: Tensor, image_label: Tensor, boxes: Tensor,
                      labels: PseudoLabels) -> Dict[str, Tensor]:
        """Losses under given labels; see :meth:`loss`."""
        losses = dict()
        feats = self.accumulated(self.features_and_affinity, inputs)
        if self.affinity_head is not None:
            *feats, affinity = feats
            label = self.labeler.affinity_label(labels.affinity,
                                            feats[-1].shape[-2:])
            losses.update(
                add_prefix(
                    self.affinity_head.loss(affinity, label), 'affinity'))
        seg_logits = self.decode_head(feats)
        decode = self.decode_head.loss_by_image_label(feats, image_label)
        decode.update(self.decode_head.loss_by_label(seg_logits, labels.seg))
        decode.update(self.regularize(seg_logits, labels.seg, inputs, boxes))
        losses.update(add_prefix(decode, 'decode'))
        ignored = labels.seg == self.decode_head.ignore_index
        losses['label.ignored'] = ignored.float().mean()
        losses['label.foreground'] = ((labels.seg > 0)
                                      & ~ignored).float().mean()
        return losses

    def parse_losses(self, losses: Dict[str, Tensor]):
        """As EncoderDecoder's, but what is logged is the mean over all
        processes, not the share of the first."""
        loss, log_vars = super().parse_losses(losses)
        log_vars = {k: v.detach().clone() for k, v in log_vars.items()}
        all_reduce_dict(log_vars, op='mean')
        return loss, log_vars
