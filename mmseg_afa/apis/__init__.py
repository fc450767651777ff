# Copyright (c) mmseg_afa contributors. All rights reserved.
from .prediction_sheet import attach_refiner, prediction_sheet, spread
from .training_sheet import training_sheet

__all__ = ['attach_refiner', 'prediction_sheet', 'spread', 'training_sheet']
