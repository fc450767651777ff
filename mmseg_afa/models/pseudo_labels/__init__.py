# Copyright (c) mmseg_afa contributors. All rights reserved.
from .cam import merge_cams
from .labeler import PseudoLabeler
from .present_classes import PresentClasses
from .random_walk import affinity_label, radius_mask, random_walk

__all__ = [
    'PresentClasses', 'PseudoLabeler', 'merge_cams', 'affinity_label',
    'radius_mask', 'random_walk'
]
