# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What transforms ask of a sample."""
from mmcv.transforms import BaseTransform


def is_photo_alone(results: dict) -> bool:
    """Whether a sample comes from no data set: mmseg's inference functions
    run a test pipeline on photos, of which no mask or label is known."""
    return 'seg_fields' not in results


def get_num_classes(transform: BaseTransform, results: dict) -> int:
    """How many classes the transform or the data set says there are."""
    if transform.num_classes is not None:
        return transform.num_classes
    if 'num_classes' in results:
        return results['num_classes']
    raise KeyError(
        f'{type(transform).__name__} does not know the number of classes, '
        'which only the data sets of mmseg_afa tell: set its num_classes, '
        'background counted.')
