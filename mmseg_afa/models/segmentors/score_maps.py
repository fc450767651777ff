# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Decode scores on the network's grid to label maps of any size."""
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ...utils import IGNORE_INDEX
from ..pseudo_labels import PresentClasses
from ..pseudo_labels.labeler import disagreement
from ..pseudo_labels.present_classes import LOWEST
from ..utils import resize

MOST_SCORES = 2**24  # that are resized at once: 64 MB


class ScoreMaps(NamedTuple):
    """Hold scores of the classes at each cell of a grid.

    `scores` are (B, K + 1, h, w): logits, or non-negative with 0 for the
    filling of `classes`; or (B, 2 (K + 1), h, w) non-negative, those under a
    high and a low background score, which a pseudo label combines. `empty`
    (B, 1, h', w') in [0, 1] is above 0.5 where the photos show nothing.
    """
    scores: Tensor
    classes: PresentClasses
    logits: bool = False
    empty: Optional[Tensor] = None

    def single(self, index: int) -> 'ScoreMaps':
        """Select one image of the batch."""
        one = slice(index, index + 1)
        classes = self.classes._replace(
            index=self.classes.index[one], valid=self.classes.valid[one])
        return self._replace(scores=self.scores[one], classes=classes)

    def argmax_with_confidence(self) -> Tuple[Tensor, Tensor]:
        """Find the class of each cell and its share of all scores.

        Where high and low background score disagree, and where no class is
        present, the class is 255 and the confidence 0.

        Returns:
            tuple[Tensor, Tensor]: (B, h, w) int64 in 0..C or 255, and
            (B, h, w) float32 in [0, 1].
        """
        if self.scores.shape[1] == self.classes.index.shape[1]:
            label = self.classes.argmax(self.scores)
            share = self._share(self.scores)
        else:
            high, low = self.scores.chunk(2, 1)
            label = self.classes.argmax(high)
            share = torch.where(label == 0, self._share(low),
                                self._share(high))
            label.masked_fill_(disagreement(label, low), IGNORE_INDEX)
        return label, share.masked_fill_(label == IGNORE_INDEX, 0)

    def _share(self, scores: Tensor) -> Tensor:
        largest = scores.amax(1)
        if self.logits:
            return (scores - largest[:, None]).exp_().sum(1).reciprocal_()
        return largest / scores.sum(1).clamp_(min=1e-12)

    def normalized(self) -> 'ScoreMaps':
        """Divide the scores by their sum; logits become probabilities."""
        if self.logits:
            scores = self.scores.softmax(1)
        else:
            total = self.scores.sum(1, keepdim=True).clamp_(min=1e-12)
            scores = self.scores / total
        return self._replace(scores=scores, logits=False)

    def resize_and_argmax(self, size: Sequence[int]) -> Tuple[Tensor, Tensor]:
        """Resize the scores, then find classes and confidence.

        Large maps are resized in strips: 20 or 80 scores for each pixel of a
        large photo would take gigabytes. Empty pixels are 255, confidence 0.

        Returns:
            tuple[Tensor, Tensor]: (B, *size) uint8 and (B, *size) float32.
        """
        height, width = size
        channels = self.scores.shape[0] * self.scores.shape[1]
        rows = max(MOST_SCORES // (channels * width), 1)
        share = self.scores.new_empty(len(self.scores), *size)
        label = torch.empty_like(share, dtype=torch.uint8)
        for top in range(0, height, rows):
            strip = slice(top, min(top + rows, height))
            part = self._replace(scores=resize_strip(self.scores, size, strip))
            label[:, strip], share[:, strip] = part.argmax_with_confidence()
        if self.empty is not None:
            empty = resize(self.empty, size)[:, 0] > 0.5
            label.masked_fill_(empty, IGNORE_INDEX)
            share.masked_fill_(empty, 0)
        return label, share


def resize_strip(x: Tensor, size: Sequence[int], strip: slice) -> Tensor:
    """Compute the rows of a strip of ``resize(x, size)``."""
    if strip == slice(0, size[0]):
        return resize(x, size)
    rows = torch.arange(strip.start, strip.stop, device=x.device)
    at = ((rows + 0.5) * (x.shape[2] / size[0]) - 0.5).clamp(0, x.shape[2] - 1)
    above = at.long()
    below = (above + 1).clamp(max=x.shape[2] - 1)
    x = torch.lerp(x[:, :, above], x[:, :, below], (at - above).to(x)[:, None])
    return resize(x, (len(rows), size[1]))


def with_background(cam: Tensor, classes: PresentClasses,
                    bkg_score: float) -> ScoreMaps:
    """Add a constant background to a CAM (B, K, H, W)."""
    scores = F.pad(cam, (0, 0, 0, 0, 1, 0), value=bkg_score)
    return ScoreMaps(scores * classes.valid[:, :, None, None], classes)


def restrict_to_tags(logits: Tensor,
                     image_label: Tensor,
                     background: bool = True) -> ScoreMaps:
    """Restrict logits (B, C + 1, h, w) to the classes of a label (B, C)."""
    classes = PresentClasses.from_image_label(
        image_label, background=background)
    index = classes.index[:, :, None, None]
    scores = logits.gather(1, index.expand(-1, -1, *logits.shape[-2:]))
    scores.masked_fill_(~classes.valid[:, :, None, None], LOWEST)
    return ScoreMaps(scores, classes, logits=True)
