# Copyright (c) mmseg_afa contributors. All rights reserved.
from .local_visualizer import WeakSegLocalVisualizer, save_picture

__all__ = ['WeakSegLocalVisualizer', 'save_picture']
