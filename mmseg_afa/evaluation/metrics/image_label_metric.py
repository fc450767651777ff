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
        return dict(
            F1=round(100 * image_f1(scores > 0.5, labels), 2),
            mAP=round(mean_average_precision(scores, labels.float()), 2))


def image_f1(pred: Tensor, label: Tensor) -> float:
    """Average the F1 of the classes of each image; both are (B, C) bool."""
    right = 2. * (pred & label).sum(1)
    total = pred.sum(1) + label.sum(1)
    return torch.where(total > 0, right / total.clamp(min=1),
                       torch.ones_like(right)).mean().item()


def mean_average_precision(scores: Tensor, labels: Tensor) -> float:
    """Average the precision of each class, and over classes that occur.

    mmpretrain's AveragePrecision would need torchvision.

    Args:
        scores (Tensor): (B, C), larger = more certain.
        labels (Tensor): (B, C), 0 or 1.
    """
    occurs = labels.sum(0) > 0
    if not occurs.any():
        return 0.
    order = scores[:, occurs].argsort(dim=0, descending=True, stable=True)
    shown = labels[:, occurs].gather(0, order)
    ranks = torch.arange(1, len(shown) + 1, device=shown.device)[:, None]
    precision = shown.cumsum(0) / ranks
    average = (precision * shown).sum(0) / shown.sum(0)
    return 100 * average.mean().item()
