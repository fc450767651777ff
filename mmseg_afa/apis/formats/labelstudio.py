# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Export masks as predictions for Label Studio."""
import os
from pathlib import Path
from typing import List, Sequence
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from ...utils import progress, replacing
from ..photo_mask import PhotoMask
from ..photos import Photo
from .common import foreground, json_list

RLE_SIZES = (3, 4, 8, 16)  # bits that a length may have


def write_labelstudio(masks: Sequence[PhotoMask], out: Path) -> Path:
    """Write tasks with predictions for Label Studio.

    Import ``out/labelstudio/tasks.json``. The labelling interface is in
    ``config.xml``. docs/masks.md tells how Label Studio finds the photos.
    The score of a task is the lowest among its classes.

    Args:
        masks (Sequence[PhotoMask]): The masks. The background is left out.
        out (Path): A folder.

    Returns:
        Path: tasks.json.
    """
    path, classes = out / 'labelstudio' / 'tasks.json', masks[0].classes
    with json_list(path) as write:
        for mask in progress(masks, 'labelstudio'):
            pixels, record = mask.read(), mask.record()
            height, width = pixels.shape
            shown = foreground(pixels)
            result = [
                dict(
                    id=f'{i}',
                    type='brushlabels',
                    from_name='tag',
                    to_name='image',
                    original_width=width,
                    original_height=height,
                    image_rotation=0,
                    score=record.confidence(classes[i]),
                    value=dict(
                        format='rle',
                        rle=encode_rle(pixels == i),
                        brushlabels=[classes[i]])) for i in shown
            ]
            score = min(record.confidence(classes[i]) for i in shown or [0])
            write(
                dict(
                    data=dict(image=local_address(mask.photo)),
                    predictions=[
                        dict(
                            model_version='mmseg_afa',
                            score=score,
                            result=result)
                    ]))
    with replacing(path.with_name('config.xml')) as unfinished:
        unfinished.write_text(
            label_config(classes, masks[0].palette()), encoding='utf-8')
    return path


def encode_rle(mask: np.ndarray) -> List[int]:
    """Encode a mask, bool (H, W), in Label Studio's run lengths, bytes.

    The bits are: the number of values (four per pixel, RGBA), the bits per
    value - 1, the bits of each size of length - 1. For each run follow '1',
    the index of the size (here the last), the length - 1, and the value.
    """
    flat = mask.ravel()
    # A run ends where the value changes, and where its length would need more
    # than 16 bits.
    full = np.arange(flat.size) % 2**14 == 0
    starts = np.flatnonzero(np.diff(flat, prepend=flat[:1]) | full)
    lengths = 4 * np.diff(starts, append=flat.size)
    runs = (0b111 << 24) + ((lengths - 1) << 8) + 255 * flat[starts]
    bits = f'{4 * flat.size:032b}{8 - 1:05b}'
    bits += ''.join(f'{size - 1:04b}' for size in RLE_SIZES)
    bits += ''.join(f'{run:027b}' for run in runs.tolist())
    return np.packbits(np.array(list(bits), np.uint8)).tolist()


def local_address(photo: Photo) -> str:
    """Make the address at which Label Studio serves a photo.

    LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT must be the parent of the folder in
    which the photo is named.
    """
    depth = photo.name.count('/') + 2
    parts = Path(os.path.abspath(photo.path)).parts[-depth:]
    return f'/data/local-files/?d={quote("/".join(parts))}'


def label_config(classes: Sequence[str], colours: np.ndarray) -> str:
    """Make the labelling interface of the predictions, XML."""
    labels = [
        f'    <Label value={quoteattr(name)} '
        'background="#{:02x}{:02x}{:02x}"/>'.format(*colours[i])
        for i, name in enumerate(classes) if i
    ]
    return '\n'.join([
        '<View>', '  <Image name="image" value="$image"/>',
        '  <BrushLabels name="tag" toName="image">', *labels,
        '  </BrushLabels>', '</View>', ''
    ])
