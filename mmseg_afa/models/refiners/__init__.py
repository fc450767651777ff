# Copyright (c) mmseg_afa contributors. All rights reserved.
from .par import PAR

__all__ = ['PAR']
