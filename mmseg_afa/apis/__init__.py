# Copyright (c) mmseg_afa contributors. All rights reserved.
from .prediction_sheet import prediction_sheet, spread
from .training_sheet import training_sheet

__all__ = ['prediction_sheet', 'spread', 'training_sheet']
