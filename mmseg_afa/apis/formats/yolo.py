# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Export photos and masks for Ultralytics' semantic segmentation."""
import re
import shutil
from pathlib import Path
from typing import Sequence

import mmengine

from ...utils import progress
from ..photo_mask import PhotoMask


def write_yolo(masks: Sequence[PhotoMask], out: Path) -> Path:
    """Write ``out/yolo`` for Ultralytics' semantic segmentation.

    The folder holds images/train, masks/train and data.yaml, see
    https://docs.ultralytics.com/datasets/semantic. It replaces that of an
    earlier export. Photos are copies, because Ultralytics repairs JPEG files
    in place. Ultralytics finds a mask by the last folder 'images' in the path
    of a photo. Other folders of this name become 'images_'.

    Args:
        masks (Sequence[PhotoMask]): The masks.
        out (Path): A folder.

    Returns:
        Path: data.yaml.
    """
    folder, unfinished = out / 'yolo', out / '.yolo.tmp'
    shutil.rmtree(unfinished, ignore_errors=True)
    for mask in progress(masks, 'yolo'):
        name = re.sub('(^|/)images(?=/)', r'\1images_', mask.photo.name)
        suffix = Path(mask.photo.path).suffix
        for source, copy in ((mask.photo.path, f'images/train/{name}{suffix}'),
                             (mask.path, f'masks/train/{name}.png')):
            (unfinished / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, unfinished / copy)
    data = dict(
        train='images/train',
        val='images/train',
        masks_dir='masks',
        names=dict(enumerate(masks[0].classes)))
    mmengine.dump(
        data, unfinished / 'data.yaml', allow_unicode=True, sort_keys=False)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return folder / 'data.yaml'
