# Copyright (c) mmseg_afa contributors. All rights reserved.
from .dense_crf import DenseCRF
from .par import PAR
from .segments import SegmentFolder, snap_to_segments

__all__ = ['DenseCRF', 'PAR', 'SegmentFolder', 'snap_to_segments']
