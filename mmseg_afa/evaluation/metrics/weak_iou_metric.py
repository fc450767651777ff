# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Dict, Sequence

import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.logging import print_log
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor

from .background_sweep import SWEEPS, count_by_score, strongest_class, sweep

# What is scored where samples carry it. Of `..._given_tags` the true image
# labels were given, so these are no segmentation scores: they measure pseudo
# labels. `..._predicted_tags` compare with the segmentation.
FIELDS = ('pred_sem_seg', 'cam_predicted_tags', 'affinity_cam_predicted_tags',
          'cam_given_tags', 'affinity_cam_given_tags', 'cam_label_given_tags',
          'refined_label_given_tags')


@METRICS.register_module()
class WeakIoUMetric(IoUMetric):
    """IoU of the segmentation and of each label map made of CAMs, in a pass.

    A confusion matrix of each is all that is kept, however many images there
    are. Each image counts once on any number of processes: what mmengine's
    sampler repeats to give all processes equally many is left out.

    Results are `mIoU` etc. as IoUMetric's for the segmentation,
    `cam_given_tags/mIoU` etc. for the other :data:`FIELDS` that samples
    carry. Pixels that a pseudo label ignores are left out of its IoU, and
    their share is `.../ignored`, in percent.

    After :meth:`evaluate`, `report` has for each field its mIoU and the IoU of
    each class in percent and its confusion matrix, see :func:`confusion`, and
    `sweeps` the mIoU of the CAM at 20 background scores.

    Args:
        **kwargs: Of IoUMetric.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self._start()

    def _start(self) -> None:
        self._totals: Dict[str, Tensor] = {}
        self._last: Dict[str, Tensor] = {}  # of one image, not yet added
        self._images = 0

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count the pixels of a batch."""
        if self.output_dir is not None:
            super().process(data_batch, data_samples)  # writes the masks
            self.results.clear()
        if self.format_only:
            return
        for sample in data_samples:
            self._add(self._last)
            self._last = self._count(sample)
            self._images += 1

    def _count(self, sample: dict) -> Dict[str, Tensor]:
        label = sample['gt_sem_seg']['data'].squeeze()
        known = label != self.ignore_index
        label = label[known].long()
        num_classes = len(self.dataset_meta['classes'])
        counts = {
            field:
            confusion(sample[field]['data'].squeeze()[known], label,
                      num_classes)
            for field in FIELDS if field in sample
        }
        for name, tags in SWEEPS.items():
            if 'cam' in sample and tags(sample) is not None:
                value, strongest = strongest_class(sample['cam']['data'],
                                                   tags(sample))
                counts[f'sweep {name}'] = count_by_score(
                    value[known], strongest[known], label, num_classes)
        return {name: count.cpu() for name, count in counts.items()}

    def _add(self, counts: Dict[str, Tensor]) -> None:
        for name, count in counts.items():
            self._totals.setdefault(name, torch.zeros_like(count)).add_(count)

    def evaluate(self, size: int) -> Dict[str, float]:
        """Scores over the images of all processes.

        Args:
            size (int): Number of images.
        """
        if self.format_only:
            return super().evaluate(size)
        # The sampler deals images out in turn, then begins again.
        if get_rank() + (self._images - 1) * get_world_size() < size:
            self._add(self._last)
        parts, names = all_gather_object(self._totals), {}
        for part in parts:
            names.update(part)
        totals = {
            name: sum(part[name] for part in parts if name in part)
            for name in names
        }
        self._start()
        self.report, self.sweeps, scores = {}, {}, {}
        for name, total in totals.items():
            if name.startswith('sweep '):
                self.sweeps[name.partition(' ')[2]] = sweep(total)
            else:
                scores.update(self._scores(name, total))
        return {
            f'{self.prefix}/{key}' if self.prefix else key: value
            for key, value in scores.items()
        }

    def _scores(self, field: str, matrix: Tensor) -> Dict[str, float]:
        counted = matrix[:, :-1].double()
        hits, pred, label = counted.diag(), counted.sum(0), counted.sum(1)
        union = pred + label - hits
        print_log(f'{field}:', 'current')
        scores = self.compute_metrics([(hits, union, pred, label)])
        ignored = 100 * (matrix[:, -1].sum() / matrix.sum()).item()
        iou = (100 * hits / union).tolist()
        self.report[field] = dict(
            mIoU=float(scores['mIoU']) if 'mIoU' in scores else None,
            ignored=round(ignored, 2),
            confusion=matrix.tolist(),
            IoU={
                name: None if value != value else round(value, 2)
                for name, value in zip(self.dataset_meta['classes'], iou)
            })
        if field == 'pred_sem_seg':
            return scores
        if '_label_' in field:
            scores['ignored'] = round(ignored, 2)
        return {f'{field}/{key}': value for key, value in scores.items()}


def confusion(pred: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """Count pixels by class and prediction.

    Args:
        pred (Tensor): (P, ) 0..C, or above: ignored.
        label (Tensor): (P, ) int64 in 0..C.
        num_classes (int): C + 1.

    Returns:
        Tensor: (C + 1, C + 2) int64, rows are classes, the last column is
        what the prediction ignores.
    """
    columns = num_classes + 1
    pairs = label * columns + pred.long().clamp(max=num_classes)
    return pairs.bincount(minlength=num_classes * columns).view(-1, columns)
