# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Helpers that all rooms share; they import none of the rooms."""
from .errors import (CheckpointError, MissingLibraryError, UserError,
                     check_least, exit_on_user_error)
from .files import expand_home, put_atomically, remove_unfinished, replacing
from .parallel import DEFAULT_WORKERS, ordered_map, parallel_map, progress
from .rng import get_rng_state, isolated_rng, set_rng_state

IGNORE_INDEX = 255  # pixels of this label neither train nor count in scores

__all__ = [
    'CheckpointError', 'DEFAULT_WORKERS', 'IGNORE_INDEX',
    'MissingLibraryError', 'UserError', 'check_least', 'exit_on_user_error',
    'expand_home', 'get_rng_state', 'isolated_rng', 'ordered_map',
    'parallel_map', 'progress', 'put_atomically', 'remove_unfinished',
    'replacing', 'set_rng_state'
]
