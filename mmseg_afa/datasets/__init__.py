# Copyright (c) mmseg_afa contributors. All rights reserved.
from .coco import COCO2014WeakDataset
from .label_file import read_label_file, write_label_file
from .samplers import ResumableSampler, ignore_sigterm_in_worker
from .transforms import *  # noqa: F401, F403
from .voc import PascalVOCWeakDataset
from .weak_label import WeakLabelDataset

__all__ = [
    'COCO2014WeakDataset', 'PascalVOCWeakDataset', 'ResumableSampler',
    'WeakLabelDataset', 'ignore_sigterm_in_worker', 'read_label_file',
    'write_label_file'
]
