# Copyright (c) mmseg_afa contributors. All rights reserved.
from .attention_logits import AttentionLogits, first_images, mix_heads
from .images import denormalize, resize, to_original
from .modes import evaluating, zero_gradients

__all__ = [
    'AttentionLogits', 'denormalize', 'evaluating', 'first_images',
    'mix_heads', 'resize', 'to_original', 'zero_gradients'
]
