# Copyright (c) mmseg_afa contributors. All rights reserved.
from .overlays import overlay_heatmap, overlay_label
from .save import save_picture
from .sheet import picture_sheet

__all__ = ['overlay_heatmap', 'overlay_label', 'picture_sheet', 'save_picture']
