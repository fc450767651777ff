# Copyright (c) mmseg_afa contributors. All rights reserved.
from .par_refinement_hook import PARRefinementHook
from .pseudo_label_visualization_hook import PseudoLabelVisualizationHook

__all__ = ['PARRefinementHook', 'PseudoLabelVisualizationHook']
