# Copyright (c) mmseg_afa contributors. All rights reserved.
from contextlib import nullcontext
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.dist import all_reduce_dict
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.utils import (ConfigType, OptConfigType, OptSampleList, SampleList,
                         add_prefix)
from torch import Tensor

from ... import compat
from ..decode_heads.wsss_head import stack_image_labels
from ..pseudo_labels import PresentClasses, multi_scale_cam
from ..pseudo_labels.boxes import box_mask
from ..utils import (AttentionLogits, by_size, denormalize, evaluating,
                     first_images, resize, to_original, zero_gradients)
from .schedule import (AFFINITY_LABELS, CAM_LABELS, CLASSIFY,
                       complete_train_cfg, current_iteration, phase_of)
from .score_maps import ScoreMaps, among, with_background

EXTRA_OUTPUTS = ('with_cam', 'with_affinity_cam', 'with_pseudo_labels')


class PseudoLabels(NamedTuple):
    """What supervises a step, (B, H, W) int64 each: `seg` the segmentation,
    `affinity` the pairs of its pixels."""
    seg: Tensor
    affinity: Tensor


@MODELS.register_module()
class AFA(EncoderDecoder):
    """Learning Affinity from Attention (CVPR 2022, arXiv 2203.02664).

    Args:
        affinity_head (dict, optional): Turns attention logits of the backbone
            into affinity. Without one, CAM labels supervise segmentation
            throughout: the method without affinity.
        labeler (dict): Config of the labeler, by default a PseudoLabeler,
            which owns its refiner.
        loss_reg (dict, optional): Regularised loss, e.g. DenseEnergyLoss.
        train_cfg (dict):
            cam_scales: Scales of the CAM passes.
            cam_eval_mode: Run them in evaluation mode; the published code
                does not (stochastic depth stays on).
            cam_flip_in_batch: Run images and flipped images in one pass:
                fewer and larger kernels for a GPU, other random numbers for
                stochastic depth.
            cam_iters: Classification only while iteration <= cam_iters.
            switch_iter: CAM labels supervise the segmentation while
                iteration <= switch_iter, affinity labels after that.
            affinity_label_from: What the affinity learns from: 'cam', the
                CAM label always, as on VOC, or 'seg', the segmentation label
                in force, as on COCO.
        test_cfg (dict): Besides mmseg's:
            with_cam: Predictions carry CAMs and image-level scores.
            with_affinity_cam: They carry the affinity's CAM as well.
            with_pseudo_labels: And the labels that training would make,
                which takes as long as a training step's labels do.
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
        phase = phase_of(iteration, self.train_cfg)
        if phase == AFFINITY_LABELS and self.affinity_head is None:
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
            return classes.select(cam), affinity

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
                                             phase == AFFINITY_LABELS)
        image = self.images(inputs)
        affinity_from_cam = self.train_cfg['affinity_label_from'] == 'cam'
        if phase == CAM_LABELS or affinity_from_cam:
            cam_label = self.labeler.cam_label(cam, classes, boxes, image)
        if phase == CAM_LABELS:
            return PseudoLabels(cam_label, cam_label)
        seg = self.labeler.affinity_label(cam, classes, boxes, image, affinity,
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
                self.extract_feat(inputs), image_label)
            # The published run's optimizer counts these steps for the heads
            # too.
            zero = zero_gradients(p for name, p in self.named_parameters()
                                  if not name.startswith('backbone.'))
            return add_prefix({
                k: v + zero
                for k, v in losses.items()
            }, 'decode')

        boxes = stack_boxes(data_samples, inputs)
        classes = PresentClasses.of(image_label, most_classes(data_samples))
        labels = self.pseudo_labels(inputs, classes, boxes, phase)
        return self.loss_by_label(inputs, image_label, boxes, labels)

    def loss_by_label(self, inputs: Tensor, image_label: Tensor, boxes: Tensor,
                      labels: PseudoLabels) -> Dict[str, Tensor]:
        """Losses under given labels; see :meth:`loss`."""
        losses = dict()
        feats, attentions = self.features(inputs)
        if self.affinity_head is not None:
            label = self.labeler.pair_label(labels.affinity,
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
                resize(seg_logits, image.shape[-2:]), labels.seg, image,
                box_mask(boxes, image.shape[-2:]),
                self.decode_head.ignore_index)
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
    def test_step(self, data: dict) -> SampleList:
        """Predict a batch, whose images may differ in size."""
        return by_size(super().test_step, data)

    val_step = test_step

    def predict(self,
                inputs: Tensor,
                data_samples: OptSampleList = None) -> SampleList:
        """Predict; as EncoderDecoder, plus what test_cfg asks for.

        Returns:
            list[SegDataSample]: Each with `pred_sem_seg`, `seg_logits`.
            With test_cfg.with_cam also `pred_image_scores` (C, )
            probabilities, `cam` (C, H, W) in [0, 1) and label maps
            `cam_predicted_tags` and, where the samples have image labels,
            `cam_given_tags`. With test_cfg.with_affinity_cam `affinity_cam`
            (C + 1, H, W), of the given tags if there are any, and the label
            maps `affinity_cam_...` too. With test_cfg.with_pseudo_labels
            `cam_label_given_tags` and `affinity_label_given_tags`.
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

        scores = self.image_scores(feats)
        tags = dict(predicted_tags=predicted_labels(scores))
        if all('image_label' in sample for sample in data_samples):
            tags['given_tags'] = torch.stack(
                [sample.image_label for sample in data_samples])
        cam = self.eval_cam(inputs, feats,
                            PresentClasses.of(torch.ones_like(scores)))
        for i, sample in enumerate(data_samples):
            sample.set_field(scores[i], 'pred_image_scores')
            sample.cam = PixelData(data=to_original(cam[i:i + 1], metas[i])[0])
        for name, image_label in tags.items():
            classes = PresentClasses.of(image_label)
            maps = self.cam_maps(
                classes.select(cam), classes, affinity, feats[-1].shape[-2:])
            if name == 'given_tags' and cfg.get('with_pseudo_labels'):
                maps.update(self.label_maps(inputs, classes))
            self.add_label_maps(data_samples, maps, name)
        return data_samples

    def add_label_maps(self, data_samples: SampleList,
                       maps: Dict[str, ScoreMaps], suffix: str) -> None:
        """Give samples the label maps of scores, at their original sizes."""
        for source, batch in maps.items():
            for i, sample in enumerate(data_samples):
                one = batch.image(i)
                own = one._replace(
                    scores=to_original(one.scores, sample.metainfo))
                sample.set_field(
                    PixelData(data=own.decide()[0]), f'{source}_{suffix}')
                if source == 'affinity_cam':
                    sample.affinity_cam = PixelData(
                        data=one.classes.scatter(
                            own.scores, self.decode_head.num_classes)[0])

    def image_scores(self, feats: Sequence[Tensor]) -> Tensor:
        """Probabilities (B, C) that images show the classes."""
        return self.decode_head.image_logits(feats).float().sigmoid()

    def eval_cam(self, inputs: Tensor, feats: Sequence[Tensor],
                 classes: PresentClasses) -> Tensor:
        """The CAM of test_cfg.cam_scales, (B, K, H, W) in [0, 1).

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            feats (Sequence[Tensor]): Their feature maps.
            classes (PresentClasses): The classes whose CAMs are wanted.
        """

        def forward(images, _):
            own = feats if images is inputs else self.extract_feat(images)
            return classes.select(self.decode_head.cam(own)), None

        return multi_scale_cam(forward, inputs,
                               self.test_cfg.get('cam_scales', (1., )))[0]

    def cam_maps(self, cam: Tensor, classes: PresentClasses,
                 affinity: Optional[Tensor],
                 grid: Tuple[int, int]) -> Dict[str, ScoreMaps]:
        """Scores 'cam' and, with an affinity, 'affinity_cam', as they are
        evaluated (section 8 of the paper's protocol: no PAR).

        Args:
            cam (Tensor): (B, K, H, W) of :meth:`eval_cam`.
            classes (PresentClasses): The classes of its channels.
            affinity (Tensor, optional): (B, N, N).
            grid (tuple[int, int]): Rows and columns of the affinity's grid.
        """
        labeler = self.labeler
        maps = dict(cam=with_background(cam, classes, labeler.bkg_score))
        if affinity is not None:
            walked = labeler.walk(cam, classes, affinity, grid,
                                  (labeler.low, ))
            maps['affinity_cam'] = ScoreMaps(
                resize(walked, cam.shape[-2:]), classes)
        return maps

    def label_maps(
        self,
        inputs: Tensor,
        classes: PresentClasses,
        sources: Sequence[str] = ('cam_label', 'affinity_label')
    ) -> Dict[str, ScoreMaps]:
        """Scores that the pseudo labels of training combine; those of the
        affinity label only where the model has an affinity.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            classes (PresentClasses): What the images show.
            sources (Sequence[str]): Which of the two labels.
        """
        with_affinity = ('affinity_label' in sources
                         and self.affinity_head is not None)
        cam, affinity, grid = self.train_cam(inputs, classes, with_affinity)
        image = self.images(inputs)
        scores = dict()
        if 'cam_label' in sources:
            scores['cam_label'] = self.labeler.refined_cam_scores(
                cam, classes, image)
        if with_affinity:
            height, width = inputs.shape[-2:]
            boxes = inputs.new_tensor([[0, height, 0, width]]).long()
            scores['affinity_label'] = self.labeler.refined_affinity_scores(
                cam, classes, boxes.expand(len(inputs), -1), image, affinity,
                grid)
        return {
            source: ScoreMaps(torch.cat(pair, 1), classes)
            for source, pair in scores.items()
        }

    def score_maps(
        self,
        inputs: Tensor,
        sources: Sequence[str],
        image_labels: Sequence[Optional[Tensor]],
        seg_logits: Optional[Tensor] = None
    ) -> Tuple[Tensor, Dict[str, ScoreMaps]]:
        """What masks of photos are made of.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            sources (Sequence[str]): Some of :data:`SOURCES`.
            image_labels (Sequence[Tensor or None]): (C, ) of each image,
                whose classes alone may win; without one every class may win
                the segmentation, and the predicted ones all else.
            seg_logits (Tensor, optional): (B, C + 1, h, w), of test-time
                augmentation; by default the segmentation head's own.

        Returns:
            tuple[Tensor, dict[str, ScoreMaps]]: Probabilities (B, C) of the
            classes, and scores by source.
        """
        affinity = None
        if 'affinity_cam' in sources:
            feats, attentions = self.features(inputs)
            affinity = self.affinity(feats, attentions)
        else:
            feats = self.extract_feat(inputs)
        scores = self.image_scores(feats)
        maps = dict()
        if 'seg' in sources:
            logits = (
                self.decode_head(feats) if seg_logits is None else seg_logits)
            anything = torch.ones_like(scores[0])
            maps['seg'] = among(
                logits.float(),
                PresentClasses.of(
                    torch.stack([
                        anything if label is None else label
                        for label in image_labels
                    ])))
        predicted = predicted_labels(scores)
        classes = PresentClasses.of(
            torch.stack([
                predicted[i] if label is None else label
                for i, label in enumerate(image_labels)
            ]))
        if {'cam', 'affinity_cam'} & set(sources):
            maps.update(
                self.cam_maps(
                    self.eval_cam(inputs, feats, classes), classes, affinity,
                    feats[-1].shape[-2:]))
        labels = [s for s in sources if s.endswith('_label')]
        if labels:
            maps.update(self.label_maps(inputs, classes, labels))
        return scores, {source: maps[source] for source in sources}


def predicted_labels(scores: Tensor) -> Tensor:
    """Multi-hot labels (B, C) of probabilities (B, C)."""
    return (scores > 0.5).float()


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
