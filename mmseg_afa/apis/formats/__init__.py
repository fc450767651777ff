# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Masks in the formats of other tools, each ``write(photos, classes, out)``:
the masks are files, and go through one at a time."""
from typing import Callable, Dict

from .coco import write_coco
from .cvat import write_cvat
from .labelstudio import write_labelstudio
from .photo_mask import PhotoMask
from .voc_server import write_voc_server
from .yolo import write_yolo

FORMATS: Dict[str, Callable] = {
    'coco': write_coco,
    'labelstudio': write_labelstudio,
    'cvat': write_cvat,
    'yolo': write_yolo,
    'voc-server': write_voc_server,
}

__all__ = ['FORMATS', 'PhotoMask']
