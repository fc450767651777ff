# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Ultralytics' folder for semantic segmentation."""
import re
import shutil
from os import PathLike
from pathlib import Path
from typing import Sequence

import mmengine

from ...utils import progress
from .photo_mask import PhotoMask


def write_yolo(photos: Sequence[PhotoMask], classes: Sequence[str],
               out: Path) -> Path:
    """Write ``out/yolo``: images/train, masks/train and data.yaml.

    Photos and masks are copies, for Ultralytics mends JPEG files in place; a
    folder of an earlier export is replaced. Pixels are numbers of classes,
    255 is ignored: https://docs.ultralytics.com/datasets/semantic. In the path
    of a photo the last folder called 'images' becomes 'masks', so that another
    one, in a photo's name, is called 'images_'.

    Args:
        photos (Sequence[PhotoMask]): The photos.
        classes (Sequence[str]): Names of 0..C.
        out (Path): A folder.

    Returns:
        Path: data.yaml.
    """
    folder, unfinished = out / 'yolo', out / '.yolo.tmp'
    shutil.rmtree(unfinished, ignore_errors=True)
    for photo in progress(photos, 'yolo'):
        name = re.sub('(^|/)images(?=/)', r'\1images_', photo.name)
        suffix = Path(photo.photo).suffix
        copy(photo.photo, unfinished / 'images/train' / (name + suffix))
        copy(photo.mask, unfinished / 'masks/train' / f'{name}.png')
    data = dict(
        train='images/train',
        val='images/train',
        masks_dir='masks',
        names=dict(enumerate(classes)))
    mmengine.dump(
        data, unfinished / 'data.yaml', allow_unicode=True, sort_keys=False)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return folder / 'data.yaml'


def copy(source: PathLike, path: Path) -> None:
    """Copy a file to a folder that may be missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
