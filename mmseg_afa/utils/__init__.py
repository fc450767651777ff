# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What all rooms share; it knows none of them."""
from .errors import UserError
from .files import replacing
from .parallel import DEFAULT_WORKERS, ordered_map, parallel_map, progress
from .random_state import own_randomness, random_state, set_random_state

IGNORE_INDEX = 255  # the label of pixels that supervise and score nothing

__all__ = [
    'DEFAULT_WORKERS', 'IGNORE_INDEX', 'UserError', 'ordered_map',
    'own_randomness', 'parallel_map', 'progress', 'random_state', 'replacing',
    'set_random_state'
]
