# Copyright (c) mmseg_afa contributors. All rights reserved.
from .archive import read_members
from .arguments import add_workers, positive
from .atomic import remove_unfinished, replacing
from .errors import collecting, needing_utf8
from .parallel import one_opencv_thread, parallel_map

__all__ = [
    'add_workers', 'collecting', 'needing_utf8', 'one_opencv_thread',
    'parallel_map', 'positive', 'read_members', 'remove_unfinished',
    'replacing'
]
