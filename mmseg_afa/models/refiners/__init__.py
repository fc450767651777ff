# Copyright (c) mmseg_afa contributors. All rights reserved.
from .dense_crf import DenseCRF
from .par import PAR
from .refine import refine_all

__all__ = ['DenseCRF', 'PAR', 'refine_all']
