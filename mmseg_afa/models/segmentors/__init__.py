# Copyright (c) mmseg_afa contributors. All rights reserved.
from .afa import AFA
from .regularized import RegularizedEncoderDecoder
from .score_maps import SOURCES, ScoreMaps, among_tags
from .tta import MultiScaleMaxTTA, multi_scale_logits, tiled_logits

__all__ = [
    'AFA', 'MultiScaleMaxTTA', 'RegularizedEncoderDecoder', 'SOURCES',
    'ScoreMaps', 'among_tags', 'multi_scale_logits', 'tiled_logits'
]
