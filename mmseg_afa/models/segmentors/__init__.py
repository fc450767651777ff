# Copyright (c) mmseg_afa contributors. All rights reserved.
from .afa import AFA
from .tta import MultiScaleMaxTTA, multi_scale_logits

__all__ = ['AFA', 'MultiScaleMaxTTA', 'multi_scale_logits']
