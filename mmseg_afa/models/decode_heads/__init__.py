# Copyright (c) mmseg_afa contributors. All rights reserved.
from .wsss_head import WSSSHead

__all__ = ['WSSSHead']
