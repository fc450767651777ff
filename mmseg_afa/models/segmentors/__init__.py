# Copyright (c) mmseg_afa contributors. All rights reserved.
from .afa import AFA
from .maps import FIELDS, SOURCES, TTA
from .regularized import RegularizedEncoderDecoder
from .score_maps import ScoreMaps
from .tta import MultiScaleMaxTTA

__all__ = [
    'AFA', 'FIELDS', 'MultiScaleMaxTTA', 'RegularizedEncoderDecoder',
    'SOURCES', 'ScoreMaps', 'TTA'
]
