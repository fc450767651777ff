# Copyright (c) mmseg_afa contributors. All rights reserved.
from .arguments import positive
from .atomic import remove_unfinished, replacing
from .parallel import parallel_map

__all__ = ['parallel_map', 'positive', 'remove_unfinished', 'replacing']
