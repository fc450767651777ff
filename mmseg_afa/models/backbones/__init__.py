# Copyright (c) mmseg_afa contributors. All rights reserved.
from .attn_mit import AttnMixVisionTransformer

__all__ = ['AttnMixVisionTransformer']
