# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Ultralytics' folder for semantic segmentation."""
import os
import re
import shutil
from pathlib import Path
from typing import Sequence

import mmengine

from ...utils import progress, replacing
from .photo_mask import PhotoMask


def write_yolo(photos: Sequence[PhotoMask], classes: Sequence[str],
               out: Path) -> Path:
    """Write ``out/yolo``: images/train, masks/train and data.yaml.

    Photos and masks are hard links where the disk allows it, else copies.
    Pixels are numbers of classes, 255 is ignored:
    https://docs.ultralytics.com/datasets/semantic. In the path of a photo the
    last folder called 'images' becomes 'masks', so that another one, in a
    photo's name, is called 'images_'.

    Args:
        photos (Sequence[PhotoMask]): The photos.
        classes (Sequence[str]): Names of 0..C.
        out (Path): A folder.

    Returns:
        Path: data.yaml.
    """
    folder = out / 'yolo'
    for photo in progress(photos, 'yolo'):
        name = re.sub('(^|/)images(?=/)', r'\1images_', photo.name)
        suffix = Path(photo.photo).suffix
        place(photo.photo, folder / 'images/train' / (name + suffix))
        place(photo.mask, folder / 'masks/train' / f'{name}.png')
    data = dict(
        train='images/train',
        val='images/train',
        masks_dir='masks',
        names=dict(enumerate(classes)))
    path = folder / 'data.yaml'
    with replacing(path) as unfinished:
        mmengine.dump(data, unfinished, allow_unicode=True, sort_keys=False)
    return path


def place(source: os.PathLike, path: Path) -> None:
    """Link or copy a file; one that is there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        try:
            # what a symbolic link names: the link alone would lead astray
            os.link(os.path.realpath(source), unfinished)
        except OSError:  # another disk, or one without links
            shutil.copyfile(source, unfinished)
