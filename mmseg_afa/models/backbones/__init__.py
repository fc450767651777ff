# Copyright (c) mmseg_afa contributors. All rights reserved.
from mmseg.registry import MODELS
from torch import nn

from .attn_mit import AttnMixVisionTransformer

__all__ = ['AttnMixVisionTransformer']


@MODELS.register_module('AttnVisionTransformer')
def build_attn_vit(**kwargs) -> nn.Module:
    """Build an :class:`attn_vit.AttnVisionTransformer` for a config.

    mmpretrain, which it is built on, is optional and takes seconds to import:
    this waits until a config names the backbone.

    Args:
        kwargs: Of the class.

    Raises:
        ImportError: If mmpretrain is not there.
    """
    try:
        from .attn_vit import AttnVisionTransformer
    except ImportError as error:
        raise ImportError(
            'AttnVisionTransformer is built on mmpretrain, but importing it '
            f'fails: {error}. Run `make setup`, or install the extra '
            '"mmpretrain".') from error
    return AttnVisionTransformer(**kwargs)
