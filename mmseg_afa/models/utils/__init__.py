# Copyright (c) mmseg_afa contributors. All rights reserved.
from .attention_logits import AttentionLogits, first_images, mix_heads
from .casting import cast_weights
from .images import by_size, denormalize, rescale, resize, unpad
from .modules import (any_process, evaluating, total_of_processes, unwrap,
                      zero_gradients)
from .samples import (is_trusted, most_classes, replace_by_masks, stack_boxes,
                      stack_image_labels)

__all__ = [
    'AttentionLogits', 'any_process', 'by_size', 'cast_weights', 'denormalize',
    'evaluating', 'first_images', 'is_trusted', 'mix_heads', 'most_classes',
    'replace_by_masks', 'rescale', 'resize', 'stack_boxes',
    'stack_image_labels', 'unpad', 'total_of_processes', 'unwrap',
    'zero_gradients'
]
