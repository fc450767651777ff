# Copyright (c) mmseg_afa contributors. All rights reserved.
from .inferencer import AFAInferencer
from .output_folder import OutputFolder
from .photo_mask import PhotoMask
from .photos import Photo, find_photos, read_tags

__all__ = [
    'AFAInferencer', 'OutputFolder', 'Photo', 'PhotoMask', 'find_photos',
    'read_tags'
]
