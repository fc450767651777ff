# Copyright (c) mmseg_afa contributors. All rights reserved.
from .bars import plot_classes
from .overlays import overlay_heatmap, overlay_label
from .save import save_picture
from .sheet import picture_sheet

__all__ = [
    'overlay_heatmap', 'overlay_label', 'picture_sheet', 'plot_classes',
    'save_picture'
]
