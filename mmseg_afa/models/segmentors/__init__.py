# Copyright (c) mmseg_afa contributors. All rights reserved.
from .afa import AFA
from .maps import FIELDS, SOURCES, TTA, ScoreMaps
from .regularized import RegularizedEncoderDecoder
from .tta import MultiScaleMaxTTA

__all__ = [
    'AFA', 'FIELDS', 'MultiScaleMaxTTA', 'RegularizedEncoderDecoder',
    'SOURCES', 'ScoreMaps', 'TTA'
]
