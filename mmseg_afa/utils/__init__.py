# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What all rooms share; it knows none of them."""
from .arguments import add_workers, positive
from .errors import collecting, needing_utf8
from .files import replacing
from .parallel import DEFAULT_WORKERS, parallel_map, progress

IGNORE_INDEX = 255  # the label of pixels that supervise and score nothing

__all__ = [
    'DEFAULT_WORKERS', 'IGNORE_INDEX', 'add_workers', 'collecting',
    'needing_utf8', 'parallel_map', 'positive', 'progress', 'replacing'
]
