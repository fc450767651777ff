# Copyright (c) mmseg_afa contributors. All rights reserved.
from hypothesis import settings

# before mmseg, which cannot be imported with mmcv-lite otherwise
import mmseg_afa  # noqa: F401

# Busy machines are slow for reasons that are none of a test's.
settings.register_profile('patient', deadline=None)
settings.load_profile('patient')
