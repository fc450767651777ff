# Copyright (c) mmseg_afa contributors. All rights reserved.
from .wsss_head import WSSSHead, stack_image_labels

__all__ = ['WSSSHead', 'stack_image_labels']
