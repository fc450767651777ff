# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read what the samples of a batch carry."""
from typing import Optional

import torch
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor

from ...utils import IGNORE_INDEX, UserError


def stack_image_labels(data_samples: SampleList, num_classes: int) -> Tensor:
    """Stack the multi-hot image labels of a batch, (B, num_classes)."""
    labels = []
    for sample in data_samples:
        found = sample.image_label.numel() if 'image_label' in sample else 0
        if found != num_classes:
            raise UserError(
                f'The image label of {sample.get("img_path", "a sample")} has '
                f'{found} classes, the model has {num_classes}. Set '
                'decode_head.num_classes to the number of classes of the data '
                'set, including the background.')
        labels.append(sample.image_label)
    return torch.stack(labels)


def stack_boxes(data_samples: SampleList, inputs: Tensor) -> Tensor:
    """Stack the boxes of the inputs that show image.

    Args:
        data_samples (list[SegDataSample]): The box is `img_box`. A sample
            without one has the part that the data preprocessor did not pad.
        inputs (Tensor): (B, 3, H, W).

    Returns:
        Tensor: (B, 4) int64: top, bottom, left, right.
    """
    boxes = []
    for sample in data_samples:
        height, width = sample.get('img_shape', inputs.shape[-2:])[:2]
        boxes.append(sample.get('img_box', (0, height, 0, width)))
    # the host need not wait for the copy to a GPU
    return torch.tensor(boxes).to(inputs.device, non_blocking=True)


def most_classes(data_samples: SampleList) -> Optional[int]:
    """Return the largest number of classes that an image of a batch shows.

    PackWeakSegInputs stores the numbers on the host, so that no GPU has to
    be waited for. Return None if a sample lacks its number.
    """
    counts = [sample.get('num_tags') for sample in data_samples]
    return None if None in counts else max(counts)


def is_trusted(sample: SegDataSample) -> bool:
    """Return whether the mask of a sample is trusted."""
    return 'trusted' in sample


def replace_by_masks(label: Tensor, data_samples: SampleList,
                     ignore_index: int) -> Tensor:
    """Replace the labels (B, H, W) of those samples with trusted masks."""
    if not any(map(is_trusted, data_samples)):
        return label
    rows = []
    for row, sample in zip(label, data_samples):
        if is_trusted(sample):
            row = sample.gt_sem_seg.data[0].to(label)
            row = row.masked_fill(row == IGNORE_INDEX, ignore_index)
        rows.append(row)
    return torch.stack(rows)
