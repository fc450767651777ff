# Copyright (c) mmseg_afa contributors. All rights reserved.
from .par import PAR
from .refine import refine_all

__all__ = ['PAR', 'refine_all']
