# Copyright (c) mmseg_afa contributors. All rights reserved.
from .local_visualizer import WeakSegLocalVisualizer
from .pictures import figure_to_picture, save_picture

__all__ = ['WeakSegLocalVisualizer', 'figure_to_picture', 'save_picture']
