# Copyright (c) mmseg_afa contributors. All rights reserved.
from .load_image import LoadWeakImage
from .load_mask import ImageLabelFromMask, LoadMask
from .pack_weak_seg_inputs import PackWeakSegInputs
from .random_scale import RandomScale
from .weak_random_crop import WeakRandomCrop

__all__ = [
    'ImageLabelFromMask', 'LoadMask', 'LoadWeakImage', 'PackWeakSegInputs',
    'RandomScale', 'WeakRandomCrop'
]
