# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Check before hours of work that there is something to compare with."""
from typing import Optional, Union

from mmengine.runner import TestLoop, ValLoop
from mmseg.evaluation import IoUMetric

from ..utils import IGNORE_INDEX, UserError
from .metrics import ImageLabelMetric
from .metrics.truth import NO_CLASS, get_truth


def check_truth(loop: Optional[Union[ValLoop, TestLoop]]) -> None:
    """Check the masks and tags that the metrics of a loop need.

    Samples are loaded until one shows a class, most often a single one. A
    UserError is raised if none does.
    """
    if loop is None:
        return
    dataset, metrics = loop.dataloader.dataset, loop.evaluator.metrics

    def load(index: int) -> dict:
        sample = dataset[index]['data_samples']
        sample = sample[0] if isinstance(sample, list) else sample  # TTA
        return sample.to_dict()

    indices = range(len(dataset))
    if any(
            isinstance(one, IoUMetric) and not one.format_only
            for one in metrics) and not any(
                map(shows_class, map(load, indices))):
        raise UserError(NO_CLASS)
    if any(isinstance(one, ImageLabelMetric) for one in metrics):
        if 'gt_sem_seg' in load(0):
            indices = [0]  # the others' tags are made from masks, too
        for index in indices:
            if 'image_label' not in dataset.get_data_info(index):
                get_truth(load(index), 'image_label')


def shows_class(sample: dict) -> bool:
    """Return whether the mask of a sample has a pixel of a class."""
    mask = get_truth(sample, 'gt_sem_seg')['data']
    return bool(((mask > 0) & (mask != IGNORE_INDEX)).any())
