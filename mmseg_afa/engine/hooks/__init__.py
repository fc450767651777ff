# Copyright (c) mmseg_afa contributors. All rights reserved.
from .par_refinement_hook import PARRefinementHook

__all__ = ['PARRefinementHook']
