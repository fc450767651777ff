# Copyright (c) mmseg_afa contributors. All rights reserved.
from .attention_logits import AttentionLogits, first_images, mix_heads
from .casting import cast_weights
from .images import by_size, denormalize, rescale, resize, unpad
from .modules import evaluating, unwrap, zero_gradients
from .samples import most_classes, stack_boxes, stack_image_labels

__all__ = [
    'AttentionLogits', 'by_size', 'cast_weights', 'denormalize', 'evaluating',
    'first_images', 'mix_heads', 'most_classes', 'rescale', 'resize',
    'stack_boxes', 'stack_image_labels', 'unpad', 'unwrap', 'zero_gradients'
]
