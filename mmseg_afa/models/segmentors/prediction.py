# Copyright (c) mmseg_afa contributors. All rights reserved.
"""From feature maps and affinity to label maps, of the five sources."""
from typing import Dict, Optional, Sequence, Tuple

import torch
from mmengine.structures import PixelData
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor

from ..pseudo_labels import PresentClasses, multi_scale_cam
from ..utils import by_size, resize, to_original
from .score_maps import ScoreMaps, among_tags, with_background

EXTRA_OUTPUTS = ('with_cam', 'with_affinity_cam', 'with_pseudo_labels')


class PredictionMixin:
    """The part of :class:`AFA` that predicts."""

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
            `cam_label_given_tags` and `refined_label_given_tags`.
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
                            PresentClasses.from_image_label(torch.ones_like(scores)))
        for i, sample in enumerate(data_samples):
            sample.set_field(scores[i], 'pred_image_scores')
            sample.cam = PixelData(data=to_original(cam[i:i + 1], metas[i])[0])
        for name, image_label in tags.items():
            classes = PresentClasses.from_image_label(image_label)
            maps = self.cam_maps(
                classes.select_channels(cam), classes, affinity, feats[-1].shape[-2:])
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
            return classes.select_channels(self.decode_head.cam(own)), None

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
                                  (labeler.bkg_low, ))
            maps['affinity_cam'] = ScoreMaps(
                resize(walked, cam.shape[-2:]), classes)
        return maps

    def label_maps(
        self,
        inputs: Tensor,
        classes: PresentClasses,
        sources: Sequence[str] = ('cam_label', 'refined_label')
    ) -> Dict[str, ScoreMaps]:
        """Scores that the pseudo labels of training combine; those of the
        refined label only where the model has an affinity.

        Args:
            inputs (Tensor): (B, 3, H, W), normalised.
            classes (PresentClasses): What the images show.
            sources (Sequence[str]): Which of the two labels.
        """
        with_affinity = ('refined_label' in sources
                         and self.affinity_head is not None)
        cam, affinity, grid = self.train_cam(inputs, classes, with_affinity)
        image = self.images(inputs)
        scores = dict()
        if 'cam_label' in sources:
            scores['cam_label'] = self.labeler.cam_label_scores(
                cam, classes, image)
        if with_affinity:
            height, width = inputs.shape[-2:]
            boxes = inputs.new_tensor([[0, height, 0, width]]).long()
            scores['refined_label'] = self.labeler.refined_label_scores(
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
            maps['seg'] = among_tags(logits.float(), image_labels)
        predicted = predicted_labels(scores)
        classes = PresentClasses.from_image_label(
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
