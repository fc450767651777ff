# Copyright (c) mmseg_afa contributors. All rights reserved.
from .attention_logits import AttentionLogits, first_images, mix_heads
from .images import by_size, denormalize, resize, unpad
from .modes import evaluating, zero_gradients
from .wrappers import unwrap

__all__ = [
    'AttentionLogits', 'by_size', 'denormalize', 'evaluating', 'first_images',
    'mix_heads', 'resize', 'unpad', 'unwrap', 'zero_gradients'
]
