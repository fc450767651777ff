# Copyright (c) mmseg_afa contributors. All rights reserved.
from mmseg.registry import MODELS
from torch import nn

from ...utils import MissingLibraryError
from .attn_mit import AttnMixVisionTransformer

__all__ = ['AttnMixVisionTransformer']


@MODELS.register_module('AttnVisionTransformer')
def build_attn_vit(**kwargs) -> nn.Module:
    """Build an :class:`attn_vit.AttnVisionTransformer` for a config.

    The class needs mmpretrain, which is optional and takes seconds to import.
    """
    try:
        from .attn_vit import AttnVisionTransformer
    except ImportError as error:
        raise MissingLibraryError(
            'AttnVisionTransformer needs mmpretrain, which cannot be imported '
            f'({error}). Run `make setup`, or install the extra "mmpretrain".'
        ) from error
    return AttnVisionTransformer(**kwargs)
