# Copyright (c) mmseg_afa contributors. All rights reserved.
from .archive import read_members
from .arguments import add_workers, positive
from .atomic import remove_unfinished, replacing
from .errors import collecting
from .parallel import parallel_map

__all__ = [
    'add_workers', 'collecting', 'parallel_map', 'positive', 'read_members',
    'remove_unfinished', 'replacing'
]
