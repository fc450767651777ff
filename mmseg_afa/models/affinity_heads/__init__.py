# Copyright (c) mmseg_afa contributors. All rights reserved.
from .afa_head import AFAHead

__all__ = ['AFAHead']
