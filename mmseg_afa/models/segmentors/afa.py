# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Dict, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.dist import all_reduce_dict
from mmengine.logging import MessageHub
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.utils import (ConfigType, OptConfigType, OptSampleList, SampleList,
                         add_prefix)
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from ... import compat
from ..attention_logits import AttentionLogits, first_images
from ..decode_heads.wsss_head import stack_image_labels
from ..pseudo_labels import PresentClasses, PseudoLabeler, multi_scale_cam
from ..pseudo_labels.boxes import box_mask

EXTRA_OUTPUTS = ('with_cam', 'with_affinity_cam')
# Phases of the training schedule, in their order
CLASSIFY, CAM_LABELS, AFFINITY_LABELS = 'classify', 'cam', 'affinity'


class PseudoLabels(NamedTuple):
    """What supervises a step, (B, H, W) int64 each, 255 = ignore: `seg` the
    segmentation, `affinity` the pairs of its pixels."""
    seg: Tensor
    affinity: Tensor


class Features(NamedTuple):
    """What the backbone gives: feature maps (B, C_i, H_i, W_i), finest first,
    and the attention logits of the blocks that are asked for."""
    feats: Sequence[Tensor]
    attentions: Sequence[AttentionLogits]


@MODELS.register_module()
class AFA(EncoderDecoder):
    """Learning Affinity from Attention (CVPR 2022, arXiv 2203.02664).

    Args:
        affinity_head (dict, optional): Turns attention logits of the backbone
            into affinity. Without one, label (a) supervises segmentation
            throughout: the method without affinity.
        labeler (dict): Arguments of PseudoLabeler. `PARRefinementHook` adds
            the refiner.
        loss_reg (dict, optional): Regularised loss, e.g. DenseEnergyLoss.
        train_cfg (dict):
            cam_scales: Scales of the CAM passes.
            cam_eval_mode: Run them in evaluation mode; the published code
                does not (stochastic depth stays on).
            cam_flip_in_batch: Run images and flipped images in one pass:
                fewer and larger kernels for a GPU, other random numbers for
                stochastic depth.
            cam_iters: Classification only while iteration <= cam_iters.
            switch_iter: Label (a) while iteration <= switch_iter, then (b).
            affinity_label_from: 'cam' (label (a) always, as on VOC) or 'seg'
                (the segmentation label in force, as on COCO).
        test_cfg (dict): Besides mmseg's:
            with_cam: Predictions carry CAMs and image-level scores.
            with_affinity_cam: They carry the affinity's CAM as well.
            cam_scales: Scales of the CAM then; default (1, ).
        compile_cfg (dict, optional): Arguments of torch.compile, {} for its
            defaults: the backbone's training passes are compiled, one graph
            for each of the crop's scales.
        kwargs: Of EncoderDecoder.

    Raises:
        ValueError: For settings of train_cfg that make no sense.
    """

    def __init__(self,
                 affinity_head: OptConfigType = None,
                 labeler: ConfigType = dict(),
                 loss_reg: OptConfigType = None,
                 compile_cfg: OptConfigType = None,
                 train_cfg: OptConfigType = None,
                 test_cfg: OptConfigType = None,
                 **kwargs) -> None:
        super().__init__(
            train_cfg=check_train_cfg(train_cfg or {}),
            test_cfg=test_cfg,
            **kwargs)
        self.affinity_head = (
            MODELS.build(affinity_head) if affinity_head else None)
        self.labeler = PseudoLabeler(**labeler)
        self.repeatable = is_repeatable(self.backbone)
        # Validation images have sizes of their own: these are not compiled.
        self._compiled_backbone = None
        if compile_cfg is not None:
            self._compiled_backbone = torch.compile(
                self.backbone.forward, **{
                    'dynamic': False,
                    **compile_cfg
                })
        self.loss_reg = MODELS.build(loss_reg) if loss_reg else None

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

    def features(self,
                 inputs: Tensor,
                 with_attention: bool = True) -> Features:
        """What the losses need: feature maps and, where asked for and where
        there is an affinity head, attention logits."""
        if not with_attention or self.affinity_head is None:
            return Features(self.extract_feat(inputs), [])
        return Features(*self.extract_feat(inputs, with_attention=True))

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
                f'{affinity.shape[1]} cells, the CAM {grid}; take blocks of '
                'the last stage, whose keys are not reduced')
        return affinity

    def images(self, inputs: Tensor) -> Tensor:
        """The network's input as RGB in [0, 1], in whole grey levels.

        Args:
            inputs (Tensor): (B, 3, H, W), as the data preprocessor gives it.
        """
        return denormalize(inputs, self.data_preprocessor)

    # -- training ----------------------------------------------------------
    def phase(self, iteration: int) -> str:
        """The phase of the schedule that an iteration (from 0) is in."""
        if iteration <= self.train_cfg['cam_iters']:
            return CLASSIFY
        if (iteration <= self.train_cfg['switch_iter']
                or self.affinity_head is None):
            return CAM_LABELS
        return AFFINITY_LABELS

    @compat.no_grad
    def pseudo_labels(self,
                      inputs: Tensor,
                      classes: PresentClasses,
                      boxes: Tensor,
                      phase: str,
                      features: Optional[Features] = None) -> PseudoLabels:
        """Labels made of the network's own CAM and affinity.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            classes (PresentClasses): What the images show.
            boxes (Tensor): (B, 4), the part of the crop that shows image.
            phase (str): 'cam' for label (a), 'affinity' for label (b).
            features (Features, optional): What :meth:`features` gives for
                the inputs, if it was computed before.

        Returns:
            PseudoLabels: Segmentation and affinity labels.
        """
        with_affinity = phase == AFFINITY_LABELS

        def forward(images, num_affinity):
            cam, affinity = self.cam_and_affinity(
                images, num_affinity if with_affinity else 0)
            return classes.select(cam), affinity

        known = None
        if features is not None:
            known = (classes.select(self.decode_head.cam(features.feats)),
                     self.affinity(*features) if with_affinity else None)
        if self.train_cfg['cam_eval_mode']:
            self.backbone.eval()
        cam, affinity, grid = multi_scale_cam(
            forward, inputs, self.train_cfg['cam_scales'], known,
            self.train_cfg['cam_flip_in_batch'])
        self.backbone.train(self.training)
        image = self.images(inputs)
        affinity_from_cam = self.train_cfg['affinity_label_from'] == 'cam'
        if phase == CAM_LABELS or affinity_from_cam:
            cam_label = self.labeler.cam_label(cam, classes, boxes, image)
        if phase == CAM_LABELS:
            return PseudoLabels(cam_label, cam_label)
        seg = self.labeler.affinity_refined_label(cam, classes, boxes, image,
                                                  affinity, grid)
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
            feats, _ = self.features(inputs, with_attention=False)
            losses = self.decode_head.loss_by_image_label(feats, image_label)
            # Zero gradients for what this phase does not train: distributed
            # training waits for every parameter, and the published run's
            # optimizer counts these steps too.
            idle = 0. * sum(p.sum() for name, p in self.named_parameters()
                            if not name.startswith('backbone.'))
            return add_prefix({
                k: v + idle
                for k, v in losses.items()
            }, 'decode')

        boxes = stack_boxes(data_samples, inputs)
        classes = PresentClasses.of(image_label, most_classes(data_samples))
        # One pass serves as the CAMs' at scale 1 as well where both give the
        # same: without stochastic depth.
        features = self.features(inputs) if self.repeatable else None
        labels = self.pseudo_labels(inputs, classes, boxes, phase, features)
        return self.loss_by_label(inputs, image_label, boxes, labels, features)

    def loss_by_label(
            self,
            inputs: Tensor,
            image_label: Tensor,
            boxes: Tensor,
            labels: PseudoLabels,
            features: Optional[Features] = None) -> Dict[str, Tensor]:
        """Losses under given labels; see :meth:`loss`."""
        losses = dict()
        feats, attentions = features or self.features(inputs)
        if self.affinity_head is not None:
            label = self.labeler.affinity_label(labels.affinity,
                                                feats[-1].shape[-2:])
            losses.update(
                add_prefix(
                    self.affinity_head.loss(
                        self.affinity(feats, attentions), label), 'affinity'))
        seg_logits = self.decode_head(feats)
        decode = self.decode_head.loss_by_image_label(feats, image_label)
        decode.update(self.decode_head.loss_by_label(seg_logits, labels.seg))
        if self.loss_reg is not None:
            image = self.images(inputs)
            decode[self.loss_reg.loss_name] = self.loss_reg(
                resize(seg_logits, image.shape[-2:], mode='bilinear'),
                labels.seg, image, box_mask(boxes, image.shape[-2:]))
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

    # -- prediction --------------------------------------------------------
    def predict(self,
                inputs: Tensor,
                data_samples: OptSampleList = None) -> SampleList:
        """Predict; as EncoderDecoder, plus what test_cfg asks for.

        Returns:
            list[SegDataSample]: Each with `pred_sem_seg`, `seg_logits`.
            With test_cfg.with_cam also `pred_image_scores` (C, )
            probabilities, `cam` (C, H, W) in [0, 1) and its label map
            `cam_label`; with test_cfg.with_affinity_cam `affinity_cam`
            (C + 1, H, W) and `affinity_cam_label` too. Label maps and
            affinity CAM are GIVEN the image label of the sample, or, if it
            has none, the predicted one.
        """
        cfg = self.test_cfg
        if data_samples is None or not any(map(cfg.get, EXTRA_OUTPUTS)):
            return super().predict(inputs, data_samples)
        affinity = None
        if cfg.get('with_affinity_cam') and self.affinity_head is not None:
            feats, attentions = self.features(inputs)
            affinity = self.affinity(feats, attentions)
        else:
            feats = self.extract_feat(inputs)
        metas = [sample.metainfo for sample in data_samples]
        if cfg['mode'] == 'whole':
            logits = self.decode_head.predict(feats, metas, cfg)
        else:
            logits = self.inference(inputs, metas)
        data_samples = self.postprocess_result(logits, data_samples)

        scores = self.decode_head.image_logits(feats).float().sigmoid()
        labels = torch.stack([
            sample.image_label if 'image_label' in sample else
            (image_scores > 0.5).float()
            for sample, image_scores in zip(data_samples, scores)
        ])
        cam, _, _ = multi_scale_cam(
            lambda images, _: (self.decode_head.cam(
                feats
                if images is inputs else self.extract_feat(images)), None),
            inputs, cfg.get('cam_scales', (1., )))
        for i, sample in enumerate(data_samples):
            sample.set_field(scores[i], 'pred_image_scores')
            own = to_original(cam[i:i + 1], sample.metainfo)
            label = self.labeler.eval_label(own, labels[i:i + 1])
            sample.set_data(
                dict(
                    cam=PixelData(data=own[0]),
                    cam_label=PixelData(data=label)))
        if affinity is None:
            return data_samples
        walked = self.labeler.propagate(cam, labels, affinity,
                                        feats[-1].shape[-2:], self.labeler.low)
        walked = resize(walked, inputs.shape[-2:], mode='bilinear')
        for i, sample in enumerate(data_samples):
            own = to_original(walked[i:i + 1], sample.metainfo)
            sample.set_data(
                dict(
                    affinity_cam=PixelData(data=own[0]),
                    affinity_cam_label=PixelData(data=own.argmax(1))))
        return data_samples


def to_original(maps: Tensor, meta: dict) -> Tensor:
    """Undo padding, flip and resize of the test pipeline, as
    `postprocess_result` does for logits.

    Args:
        maps (Tensor): (1, C, H, W), at the size of the network's input.
        meta (dict): Meta information of the sample.

    Returns:
        Tensor: (1, C, *ori_shape).
    """
    left, right, top, bottom = meta.get('img_padding_size',
                                        meta.get('padding_size', (0, ) * 4))
    height, width = maps.shape[-2:]
    maps = maps[..., top:height - bottom, left:width - right]
    if meta.get('flip'):
        maps = maps.flip(-1 if meta['flip_direction'] == 'horizontal' else -2)
    return resize(
        maps,
        meta.get('ori_shape', maps.shape[-2:]),
        mode='bilinear',
        align_corners=False)


def current_iteration() -> int:
    """Iteration of the running Runner, 0 without one; survives a resume."""
    return MessageHub.get_current_instance().get_info('iter', 0)


def denormalize(inputs: Tensor, data_preprocessor) -> Tensor:
    """Undo the normalisation: (B, 3, H, W) RGB in [0, 1], whole grey levels.

    Args:
        inputs (Tensor): As the data preprocessor gives it.
        data_preprocessor (SegDataPreProcessor): With RGB mean and std.
    """
    inputs = inputs.float()
    if getattr(data_preprocessor, '_enable_normalize', False):
        inputs = inputs * data_preprocessor.std + data_preprocessor.mean
    # Truncated, not rounded, as the published code does.
    return inputs.clamp(0, 255).floor() / 255


def stack_boxes(data_samples: SampleList, inputs: Tensor) -> Tensor:
    """The samples' `img_box` as (B, 4) int64 (top, bottom, left, right);
    the whole crop where a sample has none."""
    height, width = inputs.shape[-2:]
    boxes = [s.get('img_box', (0, height, 0, width)) for s in data_samples]
    # the host need not wait until a GPU has them
    return torch.tensor(boxes).to(inputs.device, non_blocking=True)


def most_classes(data_samples: SampleList) -> Optional[int]:
    """The largest number of classes that a sample shows, where all of them
    know theirs (`PackWeakSegInputs` tells them) without asking a GPU."""
    counts = [sample.get('num_tags') for sample in data_samples]
    return None if None in counts else max(counts)


def is_repeatable(module: nn.Module) -> bool:
    """Whether two forward passes in training mode give the same: no dropout,
    no stochastic depth, and no batch norm, whose statistics move."""
    return not any(
        isinstance(m, _BatchNorm) or getattr(m, 'drop_prob', 0)
        or isinstance(m, _DropoutNd) and m.p > 0
        or isinstance(m, nn.MultiheadAttention) and m.dropout > 0
        for m in module.modules())


def check_train_cfg(train_cfg: ConfigType) -> dict:
    """Fill in the defaults of AFA's train_cfg (VOC) and check it."""
    cfg = dict(
        cam_scales=(1., 0.5, 1.5),
        cam_eval_mode=False,
        cam_flip_in_batch=False,
        cam_iters=2000,
        switch_iter=6000,
        affinity_label_from='cam')
    unknown = set(train_cfg) - set(cfg)
    if unknown:
        raise ValueError(f'train_cfg: unknown {sorted(unknown)}; AFA knows '
                         f'{sorted(cfg)}')
    cfg.update(train_cfg)
    if not cfg['cam_scales'] or min(cfg['cam_scales']) <= 0:
        raise ValueError('train_cfg.cam_scales must be one or more positive '
                         f'factors, got {cfg["cam_scales"]}')
    if cfg['affinity_label_from'] not in ('cam', 'seg'):
        raise ValueError("train_cfg.affinity_label_from must be 'cam' or "
                         f"'seg', got {cfg['affinity_label_from']!r}")
    if cfg['switch_iter'] < cfg['cam_iters']:
        raise ValueError(
            f'train_cfg.switch_iter ({cfg["switch_iter"]}) must not be below '
            f'cam_iters ({cfg["cam_iters"]})')
    return cfg
