# Copyright (c) mmseg_afa contributors. All rights reserved.
from .affinity_heads import *  # noqa: F401, F403
from .backbones import *  # noqa: F401, F403
from .decode_heads import *  # noqa: F401, F403
from .losses import *  # noqa: F401, F403
from .pseudo_labels import *  # noqa: F401, F403
from .refiners import *  # noqa: F401, F403
from .segmentors import *  # noqa: F401, F403
