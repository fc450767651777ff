# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Export masks in the formats of other tools.

Each writer is a function ``write(masks, out)``. It takes the masks of one
source, at least one, and reads one mask at a time. datumaro and
label-studio-sdk also write some of these formats. They are not used, because
both install an older OpenCV over ours.
"""
from importlib.util import find_spec
from pathlib import Path
from typing import Callable, Dict, Sequence

from ...utils import UserError
from ..photos import Photo
from .coco import write_coco
from .cvat import write_cvat
from .labelstudio import write_labelstudio
from .voc_server import check_voc_server, write_voc_server
from .yolo import write_yolo

FORMATS: Dict[str, Callable[..., Path]] = {
    'coco': write_coco,
    'labelstudio': write_labelstudio,
    'cvat': write_cvat,
    'yolo': write_yolo,
    'voc-server': write_voc_server,
}


def check_format(name: str, photos: Sequence[Photo],
                 classes: Sequence[str]) -> None:
    """Check that a format can be written, before anything is predicted.

    Args:
        name (str): The format.
        photos (Sequence[Photo]): The photos.
        classes (Sequence[str]): Names of 0..C.

    Raises:
        UserError: If the format is unknown, needs a library that is not
            installed, or does not accept these photos or classes.
    """
    if name not in FORMATS:
        raise UserError(f'--format {name}: unknown format. Choose among png, '
                        f'{", ".join(FORMATS)}.')
    if name == 'coco' and find_spec('pycocotools') is None:
        raise UserError('--format coco needs pycocotools: '
                        'pip install "mmseg_afa[formats]".')
    if name == 'voc-server':
        check_voc_server(photos, classes)
