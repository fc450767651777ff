# Copyright (c) mmseg_afa contributors. All rights reserved.
from collections import Counter
from contextlib import nullcontext
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.dist import all_reduce_dict, get_world_size
from mmseg.registry import MODELS
from mmseg.utils import (ConfigType, OptConfigType, OptSampleList, SampleList,
                         add_prefix)
from torch import Tensor

from ... import compat
from ...utils import UserError
from ..pseudo_labels import PresentClasses, merge_cams
from ..utils import (AttentionLogits, cast_weights, evaluating, first_images,
                     is_trusted, most_classes, replace_by_masks, rescale,
                     stack_boxes, stack_image_labels, total_of_processes,
                     zero_gradients)
from .maps import predict, predict_step
from .regularized import RegularizedEncoderDecoder
from .schedule import (CAM_LABELS, CLASSIFY, REFINED_LABELS,
                       complete_train_cfg, current_iteration, phase_of)
from .score_maps import ScoreMaps, with_background
from .settings import check_settings, complete_test_cfg

Cams = List[Tuple[Tensor, Tensor]]


class Features(NamedTuple):
    """Hold what a pass through the backbone returns.

    `maps` are feature maps (B, C_i, H_i, W_i), finest first. `attention` is
    what the affinity head reads, empty where it was not requested.
    """
    maps: Sequence[Tensor]
    attention: Sequence[AttentionLogits] = ()


class PseudoLabels(NamedTuple):
    """Hold the labels of segmentation and affinity, (B, H, W) int64 each."""
    seg: Tensor
    affinity: Tensor


@MODELS.register_module()
class AFA(RegularizedEncoderDecoder):
    """Learning Affinity from Attention (CVPR 2022, arXiv 2203.02664).

    Where a training sample has a mask, the mask replaces its pseudo label,
    and also trains segmentation and affinity in the classification phase.

    Args:
        affinity_head (dict, optional): Turns attention logits of the backbone
            into affinity. Without it, CAM labels supervise the segmentation
            in all later phases: the method without affinity.
        labeler (dict): Config of the labeler, by default a PseudoLabeler,
            which owns its refiner.
        train_cfg (dict):
            cam_scales: Scales of the CAM passes.
            cam_eval_mode: Run the CAM passes in evaluation mode. The
                published code keeps training mode (stochastic depth is on).
            cam_flip_in_batch: Run images and flipped images in one pass:
                fewer and larger kernels. Default: on a GPU only, because
                a CPU would need more memory.
            cam_iters: Classification only while iteration <= cam_iters.
            switch_iter: CAM labels supervise the segmentation while
                iteration <= switch_iter, refined labels after that.
            affinity_label_from: The label that the affinity learns from:
                'cam', always the CAM label, as on VOC, or 'seg', the
                segmentation label in force, as on COCO.
        test_cfg (dict): Besides mmseg's:
            sources: Predictions carry the label maps of these sources, of
                :data:`maps.SOURCES`; default ('seg', ). The labels take as
                long as those of a training step.
            cam_scales: Scales of the CAM then; default (1, ).
            mode: 'slide' cuts photos into windows for the source 'seg'. The
                other sources see whole photos.
            refiner: Config of the refiner of ``--refine par``; default
                dict(type='PAR'), the paper's.
        kwargs: Arguments of RegularizedEncoderDecoder.
    """

    def __init__(self,
                 affinity_head: OptConfigType = None,
                 labeler: ConfigType = dict(),
                 train_cfg: OptConfigType = None,
                 test_cfg: OptConfigType = None,
                 **kwargs) -> None:
        super().__init__(
            train_cfg=complete_train_cfg(train_cfg or {}),
            test_cfg=complete_test_cfg(test_cfg or {}),
            **kwargs)
        self.affinity_head = (
            MODELS.build(affinity_head) if affinity_head else None)
        self.labeler = MODELS.build({
            'type': 'PseudoLabeler',
            'ignore_index': self.decode_head.ignore_index,
            **labeler
        })
        self.seg_label = None  # of the last step, (B, H, W), for hooks
        check_settings(self)

    # -- the network -------------------------------------------------------
    def features(self, inputs: Tensor, with_attention: bool) -> Features:
        """Run the backbone, with attention if there is an affinity head."""
        if not with_attention or self.affinity_head is None:
            return Features(self.extract_feat(inputs))
        maps, attention = self.backbone(inputs, with_attention=True)
        return Features(self.neck(maps) if self.with_neck else maps, attention)

    def affinity(self, features: Features) -> Tensor:
        """Compute the affinity (B, N, N) of the cells of the last map."""
        affinity = self.affinity_head(features.attention)
        grid = tuple(features.maps[-1].shape[2:])
        if affinity.shape[1] != grid[0] * grid[1]:
            raise UserError(
                f'the attention of backbone.attn_blocks has '
                f'{affinity.shape[1]} cells, the CAM {grid}; name blocks '
                'that attend on the grid of the last feature map')
        return affinity

    def raw_cams(
            self,
            inputs: Tensor,
            scales: Sequence[float],
            flip_in_batch: bool = False,
            with_affinity: bool = False,
            features: Optional[Features] = None
    ) -> Tuple[Cams, Optional[Tensor]]:
        """Compute the raw CAMs of images at several scales.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            scales (Sequence[float]): Factors of the image size.
            flip_in_batch (bool): One pass for images and flipped images.
            with_affinity (bool): Also compute the affinity.
            features (Features, optional): Those of the inputs, to reuse.

        Returns:
            tuple[list[tuple[Tensor, Tensor]], Tensor or None]: For each scale
            the CAM (B, C, h, w) of the images and of the flipped images; the
            affinity (B, N, N) of the unflipped images at the largest scale.
        """
        cams, affinity, count = [], None, len(inputs)
        for scale in scales:
            scaled = rescale(inputs, scale)
            wanted = with_affinity and scale == max(scales)
            if flip_in_batch:
                both = torch.cat([scaled, scaled.flip(-1)])
                one = self.features(both, wanted)
                cams.append(self.decode_head.cam(one.maps).chunk(2))
                one = Features([m[:count] for m in one.maps],
                               [first_images(a, count) for a in one.attention])
            else:
                reuse = features is not None and scaled is inputs
                one = features if reuse else self.features(scaled, wanted)
                flipped = self.extract_feat(scaled.flip(-1))
                cams.append((self.decode_head.cam(one.maps),
                             self.decode_head.cam(flipped)))
            if wanted and self.affinity_head is not None:
                affinity = self.affinity(one)
        return cams, affinity

    # -- training ----------------------------------------------------------
    def phase(self, iteration: int) -> str:
        """Name the phase of the schedule that an iteration (from 0) is in."""
        phase = phase_of(iteration, self.train_cfg)
        if phase == REFINED_LABELS and self.affinity_head is None:
            return CAM_LABELS
        return phase

    @compat.no_grad
    def train_cam(
        self, inputs: Tensor, classes: PresentClasses, with_affinity: bool
    ) -> Tuple[Tensor, Optional[Tensor], Tuple[int, int]]:
        """Compute the multi-scale CAM that labels are made from.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            classes (PresentClasses): The classes whose CAMs are wanted.
            with_affinity (bool): Also compute the affinity.

        Returns:
            tuple[Tensor, Tensor or None, tuple[int, int]]: CAM (B, K, H, W)
            in [0, 1), the affinity (B, N, N) at the largest scale, and the
            rows and columns of its grid.
        """
        cfg, mode = self.train_cfg, nullcontext()
        flip_in_batch = cfg['cam_flip_in_batch']
        if flip_in_batch is None:
            flip_in_batch = inputs.is_cuda
        if cfg['cam_eval_mode']:
            mode = evaluating(self.backbone)
        with mode:
            cams, affinity = self.raw_cams(inputs, cfg['cam_scales'],
                                           flip_in_batch, with_affinity)
        # the largest scale has the largest grid
        grid = max(tuple(cam.shape[-2:]) for cam, _ in cams)
        return merge(cams, classes, inputs), affinity, grid

    @compat.no_grad
    def pseudo_labels(self, inputs: Tensor, image: Tensor,
                      classes: PresentClasses, boxes: Tensor,
                      phase: str) -> PseudoLabels:
        """Make the labels of a phase from the network's CAM and affinity.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            image (Tensor): (B, 3, H, W), the same as RGB in [0, 1].
            classes (PresentClasses): The classes that the images show.
            boxes (Tensor): (B, 4), the part of the crop that shows image.
            phase (str): 'cam' or 'refined'.
        """
        cam, affinity, grid = self.train_cam(inputs, classes,
                                             phase == REFINED_LABELS)
        affinity_from_cam = self.train_cfg['affinity_label_from'] == 'cam'
        if phase == CAM_LABELS or affinity_from_cam:
            cam_label = self.labeler.cam_label(cam, classes, boxes, image)
        if phase == CAM_LABELS:
            return PseudoLabels(cam_label, cam_label)
        seg = self.labeler.refined_label(cam, classes, boxes, image, affinity,
                                         grid)
        return PseudoLabels(seg, cam_label if affinity_from_cam else seg)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict:
        """Compute the losses of a step in its phase of the schedule.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            data_samples (list[SegDataSample]): With `image_label` and
                `img_box`, and a `gt_sem_seg` that is `trusted` for some.

        Returns:
            dict[str, Tensor]: Losses `decode.*` and `affinity.*`, and the
            shares of foreground and ignored pixels in the label.
        """
        with cast_weights(self.backbone, self.decode_head):
            return self._loss(inputs, data_samples)

    def _loss(self, inputs: Tensor, data_samples: SampleList) -> dict:
        phase = self.phase(current_iteration())
        image_label = stack_image_labels(data_samples,
                                         self.decode_head.num_classes - 1)
        self.seg_label = None
        if phase == CLASSIFY:
            return self.classification_loss(inputs, image_label, data_samples)
        classes = self.labeler.present_classes(image_label,
                                               most_classes(data_samples))
        boxes = stack_boxes(data_samples, inputs)
        image = self.images(inputs)
        labels = self.pseudo_labels(inputs, image, classes, boxes, phase)
        labels = PseudoLabels(*(replace_by_masks(label, data_samples,
                                                 self.decode_head.ignore_index)
                                for label in labels))
        return self.loss_by_label(inputs, image, image_label, boxes, labels)

    def classification_loss(self, inputs: Tensor, image_label: Tensor,
                            data_samples: SampleList) -> Dict[str, Tensor]:
        """Compute the classification loss, and that of trusted masks.

        The mask of an image weighs as much as in a batch full of masks.
        """
        maps = self.extract_feat(inputs)
        losses = Counter(
            self.decode_head.loss_by_image_label(maps, image_label))
        # All processes run the same layers, some of which communicate.
        trusted = total_of_processes(sum(map(is_trusted, data_samples)))
        if trusted:
            ignored = self.decode_head.ignore_index
            label = image_label.new_full((len(inputs), *inputs.shape[-2:]),
                                         ignored,
                                         dtype=torch.long)
            label = replace_by_masks(label, data_samples, ignored)
            share = trusted / (len(data_samples) * get_world_size())
            found = self.decode_head.loss_by_label(
                self.decode_head(maps), label)
            losses.update({k: share * v for k, v in found.items()})
        # The published run's optimizer counts these steps for the heads too.
        zero = zero_gradients(p for name, p in self.named_parameters()
                              if not name.startswith('backbone.'))
        return add_prefix({k: v + zero for k, v in losses.items()}, 'decode')

    def loss_by_label(self, inputs: Tensor, image: Tensor, image_label: Tensor,
                      boxes: Tensor,
                      labels: PseudoLabels) -> Dict[str, Tensor]:
        """Compute the losses under given labels; see :meth:`loss`."""
        losses = dict()
        self.seg_label = labels.seg
        features = self.features(inputs, with_attention=True)
        if self.affinity_head is not None:
            label = self.labeler.affinity_label(labels.affinity,
                                                features.maps[-1].shape[-2:])
            loss = self.affinity_head.loss(self.affinity(features), label)
            losses.update(add_prefix(loss, 'affinity'))
        seg_logits = self.decode_head(features.maps)
        decode = Counter(  # adds up losses of one name
            self.decode_head.loss_by_image_label(features.maps, image_label))
        decode.update(self.decode_head.loss_by_label(seg_logits, labels.seg))
        decode.update(self.regularize(seg_logits, labels.seg, image, boxes))
        losses.update(add_prefix(decode, 'decode'))
        ignored = labels.seg == self.decode_head.ignore_index
        losses['label.ignored'] = ignored.float().mean()
        losses['label.foreground'] = ((labels.seg > 0)
                                      & ~ignored).float().mean()
        return losses

    def parse_losses(self, losses: Dict[str, Tensor]):
        """Sum up the losses, and log their means over all processes."""
        loss, log_vars = super().parse_losses(losses)
        log_vars = {k: v.detach().clone() for k, v in log_vars.items()}
        all_reduce_dict(log_vars, op='mean')
        return loss, log_vars

    # -- prediction: see maps.py -------------------------------------------
    @property
    def sources(self) -> Tuple[str, ...]:
        """List the sources that the model can predict."""
        if self.affinity_head is None:
            return 'seg', 'cam', 'cam_label'
        return 'seg', 'cam', 'affinity_cam', 'cam_label', 'refined_label'

    def image_scores(self, features: Features) -> Tensor:
        """Compute the probabilities (B, C) that images show the classes."""
        return self.decode_head.image_logits(features.maps).float().sigmoid()

    def score_maps(
        self, inputs: Tensor, features: Features,
        requests: Sequence[Tuple[Sequence[str], Tensor]]
    ) -> List[Dict[str, ScoreMaps]]:
        """Compute the scores of all sources but 'seg'.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            features (Features): Their features, with the attention if
                'affinity_cam' is requested.
            requests (Sequence[tuple[Sequence[str], Tensor]]): Sources, and
                the image label (B, C) that restricts their classes.

        Returns:
            list[dict[str, ScoreMaps]]: For each request, scores by source.
        """
        wanted = {source for sources, _ in requests for source in sources}
        cams = affinity = None
        if wanted & {'cam', 'affinity_cam'}:
            cams, _ = self.raw_cams(
                inputs, self.test_cfg.cam_scales, features=features)
        if 'affinity_cam' in wanted:
            affinity = self.affinity(features)
        out = []
        for sources, image_label in requests:
            classes = self.labeler.present_classes(image_label)
            maps = {}
            if {'cam', 'affinity_cam'} & set(sources):
                cam = merge(cams, classes, inputs)
            if 'cam' in sources:
                maps['cam'] = with_background(cam, classes,
                                              self.labeler.bkg_score)
            if 'affinity_cam' in sources:
                grid = tuple(features.maps[-1].shape[-2:])
                # the lower score as in the evaluation of the paper: no PAR
                walked = self.labeler.walk(cam, classes, affinity, grid,
                                           (self.labeler.bkg_low, ))
                maps['affinity_cam'] = ScoreMaps(walked, classes)
            if {'cam_label', 'refined_label'} & set(sources):
                maps.update(self.label_scores(inputs, classes, sources))
            out.append(maps)
        return out

    def label_scores(self, inputs: Tensor, classes: PresentClasses,
                     sources: Sequence[str]) -> Dict[str, ScoreMaps]:
        """Compute the scores of training labels, of whole photos."""
        labeler, image, scores = self.labeler, self.images(inputs), {}
        cam, affinity, grid = self.train_cam(inputs, classes, 'refined_label'
                                             in sources)
        if 'cam_label' in sources:
            scores['cam_label'] = labeler.cam_label_scores(cam, classes, image)
        if 'refined_label' in sources:
            height, width = inputs.shape[-2:]
            box = inputs.new_tensor([[0, height, 0, width]]).long()
            scores['refined_label'] = labeler.refined_label_scores(
                cam, classes, box.expand(len(inputs), -1), image, affinity,
                grid)
        return {
            source: ScoreMaps(torch.cat(high_and_low, 1), classes)
            for source, high_and_low in scores.items()
        }

    def predict(self,
                inputs: Tensor,
                data_samples: OptSampleList = None) -> SampleList:
        """Predict normalised images; see :func:`maps.predict`."""
        return predict(self, inputs, data_samples)

    def test_step(self, data: dict) -> SampleList:
        """Predict a batch, whose images may differ in size."""
        return predict_step(self, data)

    val_step = test_step


def merge(cams: Cams, classes: PresentClasses, inputs: Tensor) -> Tensor:
    """Merge the raw CAMs of the present classes at the inputs' size."""
    selected = [tuple(map(classes.select_channels, pair)) for pair in cams]
    return merge_cams(selected, inputs.shape[-2:])
