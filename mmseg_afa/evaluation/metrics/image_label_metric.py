# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Dict, List, Sequence, Tuple

import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS
from torch import Tensor

from .truth import get_truth


@METRICS.register_module()
class ImageLabelMetric(BaseMetric):
    """Score the image-level classifier.

    - F1: of the classes predicted (probability > 0.5) in each image, averaged
      over images; 1 where none is shown and none found. In percent.
    - mAP: average precision of each class that occurs, averaged. In percent.

    After :meth:`evaluate`, `report` of the main process has the `AP` of each
    class, nan if it does not occur, and its `chance` level, the share of
    images with the class: tensors (C, ), in percent.
    """

    default_prefix = 'image_label'

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep the scores and labels of a batch."""
        for sample in data_samples:
            label = get_truth(sample, 'image_label')
            # Bytes: small tensors would leave holes between large ones, a
            # megabyte an image.
            self.results.append(
                (sample['pred_image_scores'].cpu().float().numpy().tobytes(),
                 label.cpu().bool().numpy().tobytes()))

    def compute_metrics(
            self, results: List[Tuple[bytes, bytes]]) -> Dict[str, float]:
        """Compute F1 and mAP over all images, in percent."""
        scores, labels = (
            torch.frombuffer(bytearray().join(rows),
                             dtype=dtype).view(len(rows), -1)
            for rows, dtype in zip(zip(*results), (torch.float32, torch.bool)))
        average = average_precisions(scores, labels.float())
        self.report = dict(AP=average, chance=100 * labels.float().mean(0))
        return dict(
            F1=round(100 * image_f1(scores > 0.5, labels), 2),
            mAP=round(average.nanmean().nan_to_num().item(), 2))


def image_f1(pred: Tensor, label: Tensor) -> float:
    """Average the F1 of the classes of each image; both are (B, C) bool."""
    right = 2. * (pred & label).sum(1)
    total = pred.sum(1) + label.sum(1)
    return torch.where(total > 0, right / total.clamp(min=1),
                       torch.ones_like(right)).mean().item()


def average_precisions(scores: Tensor, labels: Tensor) -> Tensor:
    """Compute the average precision of each class, in percent.

    mmpretrain's AveragePrecision would need torchvision.

    Args:
        scores (Tensor): (B, C), larger = more certain.
        labels (Tensor): (B, C), 0 or 1; nan for classes without a 1.
    """
    order = scores.argsort(dim=0, descending=True, stable=True)
    shown = labels.gather(0, order)
    ranks = torch.arange(1, len(shown) + 1, device=shown.device)[:, None]
    precision = shown.cumsum(0) / ranks
    return 100 * (precision * shown).sum(0) / shown.sum(0)
