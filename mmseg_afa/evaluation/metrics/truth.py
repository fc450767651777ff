# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find what metrics compare with, or say what is missing."""
from typing import Any

from ...utils import UserError

NO_CLASS = (
    'No mask shows a class: all pixels are 0 (background) or 255 (ignored). '
    'The mIoU would be best for a network that finds nothing. Where 255 '
    'stands for a class, write its number, 1 to C, in the masks. Otherwise '
    'add images that show classes.')
MISSING = dict(
    gt_sem_seg='has no mask. The IoU metrics need a data_prefix with '
    "'seg_map_path', and LoadMask in the pipeline. Without masks, set the "
    "evaluator to [dict(type='ImageLabelMetric')], and "
    "default_hooks.checkpoint.save_best to 'image_label/mAP'.",
    image_label='has no tags. ImageLabelMetric needs a line in label_file '
    'for each image, or masks with LoadMask and ImageLabelFromMask in the '
    'pipeline.')


def get_truth(sample: dict, key: str) -> Any:
    """Return a sample's 'gt_sem_seg' or 'image_label'."""
    if key not in sample:
        raise UserError(f'{sample.get("img_path")}: {MISSING[key]}')
    return sample[key]
