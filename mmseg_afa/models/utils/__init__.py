# Copyright (c) mmseg_afa contributors. All rights reserved.
from .attention_logits import AttentionLogits, first_images, mix_heads
from .images import by_size, denormalize, resize, to_original, unpad
from .modes import evaluating, zero_gradients
from .samples import most_classes, stack_boxes, stack_image_labels

__all__ = [
    'AttentionLogits', 'by_size', 'denormalize', 'evaluating', 'first_images',
    'mix_heads', 'most_classes', 'resize', 'stack_boxes', 'stack_image_labels',
    'to_original', 'unpad', 'zero_gradients'
]
