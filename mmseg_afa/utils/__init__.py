# Copyright (c) mmseg_afa contributors. All rights reserved.
from .arguments import positive
from .atomic import replacing
from .parallel import parallel_map

__all__ = ['parallel_map', 'positive', 'replacing']
