# Copyright (c) mmseg_afa contributors. All rights reserved.
"""From CAMs to the labels that supervise segmentation and affinity."""
from typing import Callable, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import boxes_to_half, half_sizes, half_to_boxes
from .cam import (cam_to_label, cam_to_train_label, combine_labels,
                  present_cam, resize)
from .random_walk import affinity_label, random_walk


class PresentClasses(NamedTuple):
    """Background and the classes present, as the channels of a batch.

    `index` (B, K) int64 are class numbers, background first; `valid` (B, K)
    bool is false for the filling of images that show fewer classes.
    """
    index: Tensor
    valid: Tensor

    @classmethod
    def of(cls, image_label: Tensor) -> 'PresentClasses':
        """Read a multi-hot image label (B, C)."""
        present = image_label > 0
        most = int(present.sum(1).max())
        # stable, so that the classes stay in ascending order
        order = present.byte().argsort(dim=1, descending=True, stable=True)
        index = F.pad(order[:, :most] + 1, (1, 0))
        valid = F.pad(present.gather(1, order[:, :most]), (1, 0), value=True)
        return cls(index, valid)

    def gather(self, cam: Tensor, bkg_score: float) -> Tensor:
        """Put a constant background before the maps of present classes.

        (B, C, H, W) -> (B, K, H, W).
        """
        bkg = cam.new_full((len(cam), 1, *cam.shape[-2:]), bkg_score)
        index = self.index[:, :, None, None].expand(-1, -1, *cam.shape[-2:])
        return torch.cat([bkg, cam], 1).gather(1, index)

    def softmax(self, scores: Tensor) -> Tensor:
        """Softmax over the valid channels of (B, K, H, W); others are 0."""
        return scores.masked_fill(~self.valid[:, :, None, None],
                                  float('-inf')).softmax(1)

    def argmax(self, scores: Tensor) -> Tensor:
        """Class numbers (B, H, W) of the largest of (B, K, H, W) >= 0."""
        channel = scores.argmax(1)
        return self.index.gather(1, channel.flatten(1)).view_as(channel)

    def scatter(self, scores: Tensor, num_classes: int) -> Tensor:
        """(B, K, H, W) -> (B, num_classes, H, W), absent classes 0."""
        scores = scores * self.valid[:, :, None, None]
        index = self.index[:, :, None, None].expand_as(scores)
        out = scores.new_zeros(len(scores), num_classes, *scores.shape[-2:])
        return out.scatter_add_(1, index, scores)


class PseudoLabeler:
    """Makes pseudo labels (AFA, sections 3.3 and 3.4); passes no gradient.

    Without a refiner the labels come from thresholds alone, which is the
    method without PAR. :class:`PARRefinementHook` attaches one.

    Args:
        bkg_score (float): Background score of evaluation labels.
        high (float): Background score that trusted foreground beats.
        low (float): Background score that trusted background beats.
        radius (int): Pairs of grid cells farther apart than this (Chebyshev
            distance) have no affinity.
        refiner (Callable, optional): ``refiner(image, masks, sizes=None)``,
            see :class:`PAR`.

    Raises:
        ValueError: If not 0 <= low <= high <= 1 or radius < 1.
    """

    def __init__(self,
                 bkg_score: float = 0.45,
                 high: float = 0.55,
                 low: float = 0.35,
                 radius: int = 8,
                 refiner: Optional[Callable] = None) -> None:
        if not 0 <= low <= high <= 1:
            raise ValueError('labeler: background scores must satisfy '
                             f'0 <= low <= high <= 1, got low={low}, '
                             f'high={high}')
        if radius < 1:
            raise ValueError(f'labeler.radius must be >= 1, got {radius}')
        self.bkg_score = bkg_score
        self.high = high
        self.low = low
        self.radius = radius
        self.refiner = refiner

    @torch.no_grad()
    def cam_label(self, cam: Tensor, image_label: Tensor, boxes: Tensor,
                  image: Tensor) -> Tensor:
        """Label (a): the CAM, refined by PAR.

        Args:
            cam (Tensor): (B, C, H, W) in [0, 1].
            image_label (Tensor): (B, C) multi-hot.
            boxes (Tensor): (B, 4), the part of the crop that shows image.
            image (Tensor): (B, 3, H, W), RGB in [0, 1].

        Returns:
            Tensor: (B, H, W) int64 in 0..C, 255 = ignore.
        """
        if self.refiner is None:
            return cam_to_train_label(cam, image_label, boxes, self.high,
                                      self.low)
        classes = PresentClasses.of(image_label)
        size = cam.shape[-2:]
        half = [max(n // 2, 1) for n in size]
        scores = torch.cat([
            classes.softmax(resize(classes.gather(cam, score), half))
            for score in (self.high, self.low)
        ], 1)
        scores = resize(self.refiner(resize(image, half), scores), size)
        return combine_labels(*map(classes.argmax, scores.chunk(2, 1)), boxes)

    @torch.no_grad()
    def propagate(self, cam: Tensor, image_label: Tensor, affinity: Tensor,
                  grid: Tuple[int, int], bkg_score: float) -> Tensor:
        """Spread the CAM over the affinity's grid by one random walk step.

        Args:
            cam (Tensor): (B, C, H, W) in [0, 1].
            image_label (Tensor): (B, C) multi-hot.
            affinity (Tensor): (B, N, N) in [0, 1].
            grid (tuple[int, int]): Rows and columns of the affinity's grid.
            bkg_score (float): Score of the constant background map.

        Returns:
            Tensor: (B, C + 1, h, w), background first, absent classes 0.
        """
        classes = PresentClasses.of(image_label)
        cam = resize(present_cam(cam, image_label), grid)
        scores = classes.softmax(classes.gather(cam, bkg_score))
        scores = random_walk(scores, affinity, self.radius)
        return classes.scatter(scores, cam.shape[1] + 1)

    @torch.no_grad()
    def refined_affinity_scores(self, cam: Tensor, image_label: Tensor,
                                boxes: Tensor, image: Tensor, affinity: Tensor,
                                grid: Tuple[int, int]) -> Tuple[Tensor, ...]:
        """The scores whose largest channels label (b) combines.

        Args:
            As for :meth:`affinity_refined_label`.

        Returns:
            tuple[Tensor, Tensor]: Under the high and the low background
            score, (B, K, H, W) over the :class:`PresentClasses` of the
            batch. Outside the boxes they have no meaning.
        """
        classes = PresentClasses.of(image_label)
        size = cam.shape[-2:]
        cam = resize(present_cam(cam, image_label), grid)
        scores = torch.cat([
            classes.softmax(classes.gather(cam, score))
            for score in (self.high, self.low)
        ], 1)
        # one walk for both: its transition matrix is the costly part
        scores = resize(random_walk(scores, affinity, self.radius), size)
        if self.refiner is not None:
            scores = self.refiner(
                boxes_to_half(image, boxes),
                # the published code leaves this resize to PAR
                boxes_to_half(scores, boxes, align_corners=True),
                sizes=half_sizes(boxes))
            scores = half_to_boxes(scores, boxes, size)
        return scores.chunk(2, 1)

    def affinity_refined_label(self, cam: Tensor, image_label: Tensor,
                               boxes: Tensor, image: Tensor, affinity: Tensor,
                               grid: Tuple[int, int]) -> Tensor:
        """Label (b): the CAM, spread by the affinity, refined by PAR.

        Args:
            cam (Tensor): (B, C, H, W) in [0, 1].
            image_label (Tensor): (B, C) multi-hot.
            boxes (Tensor): (B, 4), the part of the crop that shows image.
            image (Tensor): (B, 3, H, W), RGB in [0, 1].
            affinity (Tensor): (B, N, N) in [0, 1], at the largest CAM scale.
            grid (tuple[int, int]): Rows and columns of the affinity's grid.

        Returns:
            Tensor: (B, H, W) int64 in 0..C, 255 = ignore.
        """
        scores = self.refined_affinity_scores(cam, image_label, boxes, image,
                                              affinity, grid)
        classes = PresentClasses.of(image_label)
        return combine_labels(*map(classes.argmax, scores), boxes)

    def affinity_label(self, label: Tensor, grid: Tuple[int, int]) -> Tensor:
        """Pairs of grid cells with the same class; see
        :func:`random_walk.affinity_label`."""
        return affinity_label(label, grid, self.radius)

    def eval_label(self, cam: Tensor, image_label: Tensor) -> Tensor:
        """Evaluation label of a CAM; see :func:`cam.cam_to_label`."""
        return cam_to_label(cam, image_label, self.bkg_score)
