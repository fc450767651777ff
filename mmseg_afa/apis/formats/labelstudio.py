# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Label Studio's predictions: brush masks in run lengths of its own."""
import os
from pathlib import Path
from typing import List, Sequence
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from ...utils import progress, replacing
from .photo_mask import PhotoMask, classes_in, json_list

SIZES = (3, 4, 8, 16)  # bits that a length may take
LONGEST = 2**16


def encode_rle(mask: np.ndarray) -> List[int]:
    """Run lengths as Label Studio reads them, bytes.

    A stream of bits: the number of values (four a pixel, RGBA), the bits of
    a value and of each size of length, then for each run '1', the number of
    a size (always the largest), its length - 1, and its value.

    Args:
        mask (np.ndarray): bool (H, W).
    """
    flat = mask.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=~flat[:1]))
    lengths = 4 * np.diff(starts, append=flat.size)
    # long runs in pieces, the last of which is the rest
    pieces = -(-lengths // LONGEST)
    rest = np.full(pieces.sum(), LONGEST)
    rest[pieces.cumsum() - 1] = lengths - (pieces - 1) * LONGEST
    values = np.repeat(flat[starts], pieces).astype(np.int64) * 255
    runs = (0b111 << 24) + ((rest - 1) << 8) + values
    bits = [_bits(np.array([4 * flat.size]), 32), _bits(np.array([7]), 5)]
    bits += [_bits(np.array(SIZES) - 1, 4), _bits(runs, 27)]
    return np.packbits(np.concatenate([b.ravel() for b in bits])).tolist()


def _bits(numbers: np.ndarray, width: int) -> np.ndarray:
    return numbers[:, None] >> np.arange(width)[::-1] & 1


def label_config(classes: Sequence[str], colours: np.ndarray) -> str:
    """The labelling interface that the predictions are about."""
    labels = [
        f'    <Label value={quoteattr(name)} '
        'background="#{:02x}{:02x}{:02x}"/>'.format(*colours[i])
        for i, name in enumerate(classes) if i
    ]
    return '\n'.join([
        '<View>', '  <Image name="image" value="$image"/>',
        '  <BrushLabels name="tag" toName="image">', *labels,
        '  </BrushLabels>', '</View>'
    ]) + '\n'


def local_address(photo: PhotoMask) -> str:
    """Where Label Studio serves a photo, if the folder that names start in
    lies in its LOCAL_FILES_DOCUMENT_ROOT."""
    depth = photo.name.count('/') + 2
    parts = Path(os.path.abspath(photo.photo)).parts[-depth:]
    return f'/data/local-files/?d={quote("/".join(parts))}'


def write_labelstudio(photos: Sequence[PhotoMask], classes: Sequence[str],
                      out: Path) -> Path:
    """Write ``out/labelstudio/tasks.json``, to import, and ``config.xml``,
    the labelling interface.

    Label Studio serves the photos where they are, if it is started with
    LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and
    LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT, the folder above that of the
    photos, and the project has the photos' folder as a local source storage
    (not synchronised: that would add a task for each photo again). A task's
    score is the lowest of its classes.

    Args:
        photos (Sequence[PhotoMask]): The photos.
        classes (Sequence[str]): Names of 0..C; the background is left out.
        out (Path): A folder.

    Returns:
        Path: tasks.json.
    """
    path = out / 'labelstudio' / 'tasks.json'
    with json_list(path) as write:
        for photo in progress(photos, 'labelstudio'):
            mask = photo.read()
            height, width = mask.shape
            found = [
                dict(
                    id=f'{i}',
                    type='brushlabels',
                    from_name='tag',
                    to_name='image',
                    original_width=width,
                    original_height=height,
                    image_rotation=0,
                    score=photo.confidence[classes[i]],
                    value=dict(
                        format='rle',
                        rle=encode_rle(mask == i),
                        brushlabels=[classes[i]]))
                for i in classes_in(mask, len(classes))
            ]
            score = min((one['score'] for one in found),
                        default=photo.confidence.get(classes[0], 0.))
            write(
                dict(
                    data=dict(image=local_address(photo)),
                    predictions=[
                        dict(
                            model_version='mmseg_afa',
                            score=score,
                            result=found)
                    ]))
    with replacing(path.with_name('config.xml')) as unfinished:
        unfinished.write_text(
            label_config(classes, photos[0].palette()), encoding='utf-8')
    return path
