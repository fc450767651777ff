# Copyright (c) mmseg_afa contributors. All rights reserved.
from .cpu import BFloat16OptimWrapper, CPUDistributedDataParallel
from .hooks import *  # noqa: F401, F403
from .optimizers import GroupedOptimWrapperConstructor
