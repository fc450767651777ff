# Copyright (c) mmseg_afa contributors. All rights reserved.
from .prediction_sheet import attach_refiner, prediction_sheet, spread

__all__ = ['attach_refiner', 'prediction_sheet', 'spread']
