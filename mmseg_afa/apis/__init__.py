# Copyright (c) mmseg_afa contributors. All rights reserved.
from .inferencer import AFAInferencer
from .mask_folder import MaskFolder
from .photos import Photo, find_photos, read_tags

__all__ = ['AFAInferencer', 'MaskFolder', 'Photo', 'find_photos', 'read_tags']
