# Copyright (c) mmseg_afa contributors. All rights reserved.
from .coco import COCO2014WeakDataset
from .label_file import read_label_file, write_label_file
from .loader_process import outlive_sigterm
from .samplers import ResumableSampler
from .transforms import *  # noqa: F401, F403
from .voc import PascalVOCWeakDataset
from .weak_label import WeakLabelDataset

__all__ = [
    'COCO2014WeakDataset', 'PascalVOCWeakDataset', 'ResumableSampler',
    'WeakLabelDataset', 'outlive_sigterm', 'read_label_file',
    'write_label_file'
]
