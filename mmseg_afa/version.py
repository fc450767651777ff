# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The version of mmseg_afa, read by setup.py without importing the package."""

__version__ = '0.1.0'
