# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make the labels that supervise segmentation and affinity from CAMs."""
from functools import partial
from typing import NamedTuple, Optional, Sequence, Tuple, Union

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from ...utils import IGNORE_INDEX, UserError
from ..utils import resize
from .boxes import box_mask, boxes_to_half, half_sizes, half_to_boxes
from .present_classes import PresentClasses
from .random_walk import affinity_label, random_walk


class LabelScores(NamedTuple):
    """Scores of a pseudo label, (B, K + 1, H, W) each.

    `high` are those under the high background score: their foreground is
    trusted. `low` are those under the low one: their background is trusted.
    """
    high: Tensor
    low: Tensor


def disagreement(label: Tensor, low: Tensor) -> Tensor:
    """Find pixels (B, H, W) that only the high score calls background.

    Args:
        label (Tensor): (B, H, W), classes under the high background score.
        low (Tensor): (B, K + 1, H, W), scores under the low one.
    """
    return (label == 0) & (low[:, 1:].amax(1) > low[:, 0])


def empty_regions(image: Tensor, threshold: float) -> Tensor:
    """Find the pixels (B, H, W) of RGB (B, 3, H, W) that are all brighter."""
    return (image > threshold).all(1)


def combine_scores(scores: LabelScores,
                   classes: PresentClasses,
                   boxes: Tensor,
                   ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Keep the pixels of the boxes on which both background scores agree."""
    label = classes.argmax(scores.high)
    ignored = disagreement(label, scores.low)
    ignored |= ~box_mask(boxes, label.shape[-2:])
    return label.masked_fill_(ignored, ignore_index)


@MODELS.register_module()
class PseudoLabeler(nn.Module):
    """Make pseudo labels (AFA, sections 3.3 and 3.4) without gradient.

    Args:
        bkg_score (float): Background score of evaluation labels.
        bkg_high (float): Trusted foreground scores above this.
        bkg_low (float): Trusted background has no class above this.
        background (bool): False for images without background, in which each
            pixel shows a class of the image: class 0 never wins, an image
            without tags is ignored, and the three scores have no effect.
        empty_above (float, optional): Grey level in [0, 1]. Pixels whose red,
            green and blue are above it, such as white glass, are ignored in
            labels and predictions.
        radius (int): Pairs of grid cells farther apart than this (Chebyshev
            distance) have no affinity.
        lazy_walk (bool): Let isolated cells keep their own scores, see
            :func:`random_walk`; for a small radius.
        refiner (dict or nn.Module, optional): Aligns the labels with edges:
            ``refiner(image, masks, sizes=None)``, see :class:`PAR`. Without
            a refiner the labels come from thresholds alone.
        ignore_index (int): The label of pixels that supervise nothing.
    """

    def __init__(self,
                 bkg_score: float = 0.45,
                 bkg_high: float = 0.55,
                 bkg_low: float = 0.35,
                 background: bool = True,
                 empty_above: Optional[float] = None,
                 radius: int = 8,
                 lazy_walk: bool = False,
                 refiner: Union[dict, nn.Module, None] = None,
                 ignore_index: int = IGNORE_INDEX) -> None:
        super().__init__()
        if not 0 <= bkg_low <= bkg_high <= 1:
            raise UserError('labeler: background scores must satisfy '
                            '0 <= bkg_low <= bkg_high <= 1, got '
                            f'bkg_low={bkg_low}, bkg_high={bkg_high}')
        if empty_above is not None and not 0 < empty_above <= 1:
            raise UserError(f'labeler: found empty_above={empty_above}, '
                            'expected a grey level in (0, 1], such as 0.9.')
        self.background = background
        self.present_classes = partial(
            PresentClasses.from_image_label, background=background)
        self.empty_above = empty_above
        self.bkg_score = bkg_score
        self.bkg_high = bkg_high
        self.bkg_low = bkg_low
        self.radius = radius
        self.lazy_walk = lazy_walk
        self.refiner = MODELS.build(refiner) if isinstance(refiner,
                                                           dict) else refiner
        self.ignore_index = ignore_index

    def _combine(self, scores: LabelScores, classes: PresentClasses,
                 boxes: Tensor, image: Tensor) -> Tensor:
        label = combine_scores(scores, classes, boxes, self.ignore_index)
        if self.empty_above is not None:
            label.masked_fill_(
                empty_regions(image, self.empty_above), self.ignore_index)
        return label

    @torch.no_grad()
    def cam_label(self, cam: Tensor, classes: PresentClasses, boxes: Tensor,
                  image: Tensor) -> Tensor:
        """Make the CAM label, as :meth:`refined_label` without affinity."""
        scores = self.cam_label_scores(cam, classes, image)
        return self._combine(scores, classes, boxes, image)

    def cam_label_scores(self, cam: Tensor, classes: PresentClasses,
                         image: Tensor) -> LabelScores:
        """Compute the scores of the CAM label; see :meth:`cam_label`."""
        size = cam.shape[-2:]
        half = [max(n // 2, 1) for n in size]
        if self.refiner is not None:
            cam = resize(cam, half)
        scores = self._against_background(cam, classes,
                                          (self.bkg_high, self.bkg_low))
        if self.refiner is not None:
            scores = resize(self.refiner(resize(image, half), scores), size)
        return LabelScores(*scores.chunk(2, 1))

    def walk(self, cam: Tensor, classes: PresentClasses, affinity: Tensor,
             grid: Tuple[int, int], bkg_scores: Sequence[float]) -> Tensor:
        """Spread the CAM over the affinity's grid by one random walk step.

        One walk serves all background scores: the transition matrix is the
        costly part. The other arguments are those of :meth:`refined_label`.

        Returns:
            Tensor: (B, len(bkg_scores) * (K + 1), h, w).
        """
        scores = self._against_background(
            resize(cam, grid), classes, bkg_scores)
        return random_walk(scores, affinity, self.radius, self.lazy_walk)

    @staticmethod
    def _against_background(cam: Tensor, classes: PresentClasses,
                            bkg_scores: Sequence[float]) -> Tensor:
        return torch.cat([
            classes.softmax_with_background(cam, score) for score in bkg_scores
        ], 1)

    @torch.no_grad()
    def refined_label(self, cam: Tensor, classes: PresentClasses,
                      boxes: Tensor, image: Tensor, affinity: Tensor,
                      grid: Tuple[int, int]) -> Tensor:
        """Make the refined label: the CAM, spread by the affinity, and PAR.

        Args:
            cam (Tensor): (B, K, H, W) in [0, 1], of the present classes.
            classes (PresentClasses): The classes of its channels.
            boxes (Tensor): (B, 4), the part of the crop that shows image.
            image (Tensor): (B, 3, H, W), RGB in [0, 1].
            affinity (Tensor): (B, N, N) in [0, 1], at the largest CAM scale.
            grid (tuple[int, int]): Rows and columns of the affinity's grid.

        Returns:
            Tensor: (B, H, W) int64 in 0..C or ignore_index.
        """
        scores = self.refined_label_scores(cam, classes, boxes, image,
                                           affinity, grid)
        return self._combine(scores, classes, boxes, image)

    def refined_label_scores(self, cam: Tensor, classes: PresentClasses,
                             boxes: Tensor, image: Tensor, affinity: Tensor,
                             grid: Tuple[int, int]) -> LabelScores:
        """Compute the scores of the refined label; see :meth:`refined_label`.

        Outside of the boxes the scores have no meaning.
        """
        size = cam.shape[-2:]
        scores = self.walk(cam, classes, affinity, grid,
                           (self.bkg_high, self.bkg_low))
        scores = resize(scores, size)
        if self.refiner is not None:
            scores = self.refiner(
                boxes_to_half(image, boxes),
                # the published code leaves this resize to PAR
                boxes_to_half(scores, boxes, align_corners=True),
                sizes=half_sizes(boxes))
            scores = half_to_boxes(scores, boxes, size)
        return LabelScores(*scores.chunk(2, 1))

    def affinity_label(self, label: Tensor, grid: Tuple[int, int]) -> Tensor:
        """Label pairs of cells; see :func:`random_walk.affinity_label`."""
        return affinity_label(label, grid, self.radius, self.ignore_index)
