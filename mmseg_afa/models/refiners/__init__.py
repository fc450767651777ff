# Copyright (c) mmseg_afa contributors. All rights reserved.
from .dense_crf import DenseCRF
from .par import PAR

__all__ = ['DenseCRF', 'PAR']
