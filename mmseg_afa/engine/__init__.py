# Copyright (c) mmseg_afa contributors. All rights reserved.
from .hooks import *  # noqa: F401, F403
