# Copyright (c) mmseg_afa contributors. All rights reserved.
import logging
from collections import Counter
from pathlib import Path
from typing import Dict, List, Sequence

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.logging import print_log
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor

from ...datasets.mask_file import encode_mask, voc_palette
from ...models.segmentors.maps import FIELDS
from ...utils import UserError, replacing
from .background_sweep import count_by_score, strongest_class, sweep
from .truth import NO_CLASS, get_truth


@METRICS.register_module()
class WeakIoUMetric(IoUMetric):
    """Compute the IoU of all label maps that samples carry, in one pass.

    Only a confusion matrix of each is kept. Each image counts once:
    repetitions by mmengine's sampler are ignored.

    Results are `mIoU` etc. as IoUMetric's for the segmentation, and
    `cam_given_tags/mIoU` etc. for the other :data:`maps.FIELDS`. Pixels that
    a pseudo label ignores do not enter its IoU; `.../ignored` is their share
    in percent.

    After :meth:`evaluate`, `report` has the mIoU, the IoU of each class and
    the confusion matrix of each field, `absent` the classes that no mask
    shows, and `sweeps` the mIoU of the CAM at 20 background scores.

    Args:
        output_field (str): The label map that is written to `output_dir`, of
            :data:`maps.FIELDS`.
        **kwargs: Arguments of IoUMetric.
    """

    def __init__(self, output_field: str = 'pred_sem_seg', **kwargs) -> None:
        super().__init__(**kwargs)
        self.output_field = output_field
        self._start()

    def _start(self) -> None:
        self._totals: Dict[str, Tensor] = Counter()
        self._last: Dict[str, Tensor] = {}  # of one image, not yet added
        self._images = 0
        self._written: Dict[Path, str] = {}

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count the pixels of a batch."""
        if self.output_dir is not None:
            for sample in data_samples:
                self._write(sample)
        if self.format_only:
            return
        for sample in data_samples:
            self._totals.update(self._last)
            self._last = self._count(sample)
            self._images += 1

    def _write(self, sample: dict) -> None:
        """Write a mask as an indexed PNG, as tools/predict.py does."""
        path = Path(self.output_dir) / f'{Path(sample["img_path"]).stem}.png'
        other = self._written.setdefault(path, sample['img_path'])
        if other != sample['img_path']:
            raise UserError(
                f'--out: {other} and {sample["img_path"]} would both become '
                f'{path}. tools/predict.py keeps their folders.')
        if self.output_field not in sample:
            source = FIELDS[self.output_field].source.name
            raise UserError(
                f'--out: there is no mask of {source}. Choose a --source that '
                'the model has and model.test_cfg.sources names; labels also '
                'need the image label.')
        mask = sample[self.output_field]['data'].squeeze()
        palette = self.dataset_meta.get('palette') or voc_palette(
            len(self.dataset_meta['classes']))
        with replacing(path) as unfinished:
            unfinished.write_bytes(
                encode_mask(mask.byte().cpu().numpy(), palette))

    def _count(self, sample: dict) -> Dict[str, Tensor]:
        label = get_truth(sample, 'gt_sem_seg')['data'].squeeze()
        known = label != self.ignore_index
        label = label[known].long()
        num_classes = len(self.dataset_meta['classes'])
        counts = {
            field:
            confusion(sample[field]['data'].squeeze()[known], label,
                      num_classes)
            for field in FIELDS if field in sample
        }
        tags = {}
        if 'cam' in sample:
            tags['cam_predicted_tags'] = sample['pred_image_scores'] > 0.5
            if 'image_label' in sample:
                tags['cam_given_tags'] = sample['image_label']
        for field, image_label in tags.items():
            value, strongest = strongest_class(sample['cam']['data'],
                                               image_label)
            counts[f'sweep {field}'] = count_by_score(value[known],
                                                      strongest[known], label,
                                                      num_classes)
        return {name: count.cpu() for name, count in counts.items()}

    def evaluate(self, size: int) -> Dict[str, float]:
        """Compute the scores over the images of all processes."""
        if self.format_only:
            return super().evaluate(size)
        # The sampler deals images out in turn, then begins again.
        if get_rank() + (self._images - 1) * get_world_size() < size:
            self._totals.update(self._last)
        totals = Counter()
        for part in all_gather_object(self._totals):
            totals.update(part)
        self._start()
        self.absent = self._absent(next(iter(totals.values())))
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

    def _absent(self, matrix: Tensor) -> List[str]:
        """List the foreground classes without a pixel in the masks."""
        classes = self.dataset_meta['classes'][1:]
        absent = [
            one for one, count in zip(classes,
                                      matrix.sum(1)[1:]) if not count
        ]
        if len(absent) == len(classes):
            raise UserError(NO_CLASS)
        if absent:
            print_log(
                f'No mask shows {", ".join(absent)}. Their IoU is 0 if they '
                'are predicted, otherwise mIoU leaves them out.',
                'current',
                level=logging.WARNING)
        return absent

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
        if FIELDS[field].source.needs_tags:
            scores['ignored'] = round(ignored, 2)
        return {f'{field}/{key}': value for key, value in scores.items()}


def confusion(pred: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """Count pixels by class and prediction.

    Args:
        pred (Tensor): (P, ) 0..C; larger values are ignored.
        label (Tensor): (P, ) int64 in 0..C.
        num_classes (int): C + 1.

    Returns:
        Tensor: (C + 1, C + 2) int64. The last column counts the pixels that
        the prediction ignores.
    """
    columns = num_classes + 1
    pairs = label * columns + pred.long().clamp(max=num_classes)
    return pairs.bincount(minlength=num_classes * columns).view(-1, columns)
