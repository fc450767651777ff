# Copyright (c) mmseg_afa contributors. All rights reserved.
from .bfloat16 import BFloat16OptimWrapper
from .cpu_distributed import CPUDistributedDataParallel
from .hooks import *  # noqa: F401, F403
