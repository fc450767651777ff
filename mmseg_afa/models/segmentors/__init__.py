# Copyright (c) mmseg_afa contributors. All rights reserved.
from .afa import AFA
from .logits import TTA
from .maps import FIELDS, SOURCES
from .regularized import RegularizedEncoderDecoder
from .score_maps import ScoreMaps
from .tta import MultiScaleMaxTTA

__all__ = [
    'AFA', 'FIELDS', 'MultiScaleMaxTTA', 'RegularizedEncoderDecoder',
    'SOURCES', 'ScoreMaps', 'TTA'
]
