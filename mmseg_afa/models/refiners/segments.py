# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Snap masks to segments without classes, of SAM or of superpixels.

Segments are an index map (H, W) of integers from 0, or a list of COCO
run-length masks, which may overlap and leave pixels out.
"""
import json
from pathlib import Path
from typing import Dict, Iterator, List, Tuple, Union

import numpy as np
from PIL import Image

from ...utils import IGNORE_INDEX, UserError

RULES = ('majority', 'sepl')
Segments = Union[np.ndarray, List[dict]]


def decode(segments: List[dict]) -> Iterator[np.ndarray]:
    """Decode run-length masks one by one, (H, W) bool, the largest first."""
    from pycocotools import mask as coco
    for one in sorted(segments, key=coco.area, reverse=True):
        yield coco.decode(one).astype(bool)


def count_labels(mask: np.ndarray, segments: Segments) -> np.ndarray:
    """Count the pixels of each label in each of S segments, (S, 256)."""
    if isinstance(segments, np.ndarray):
        pairs = segments.astype(np.int64) * 256 + mask
        least = 256 * (int(segments.max()) + 1)
        return np.bincount(pairs.ravel(), minlength=least).reshape(-1, 256)
    counts = [np.bincount(mask[x], minlength=256) for x in decode(segments)]
    return np.reshape(counts, (-1, 256))


def paint(mask: np.ndarray, segments: Segments,
          labels: np.ndarray) -> np.ndarray:
    """Give segments their labels (S, ), the smallest last; -1 is none."""
    if isinstance(segments, np.ndarray):
        new = labels[segments]
        return np.where(new < 0, mask, new).astype(np.uint8)
    mask = mask.copy()
    for label, inside in zip(labels, decode(segments)):
        if label >= 0:
            mask[inside] = label
    return mask


def snap_to_segments(mask: np.ndarray,
                     segments: Segments,
                     rule: str = 'majority') -> np.ndarray:
    """Snap a mask (H, W) uint8 to segments.

    `majority` gives each segment its most frequent class, background
    included. Pixels of 255 do not vote. A segment without a vote is 255.
    By `sepl` (Chen et al., 2023) the foreground class with the largest
    overlap takes a segment if the overlap is more than half of the segment
    or at least 85 % of the class. Other foreground in segments becomes 0.
    """
    counts = count_labels(mask, segments)
    if rule == 'majority':
        counts[:, IGNORE_INDEX] = 0
        labels = np.where(counts.any(1), counts.argmax(1), IGNORE_INDEX)
        return paint(mask, segments, labels)
    overlaps = counts[:, 1:IGNORE_INDEX]
    best, overlap = overlaps.argmax(1) + 1, overlaps.max(1)
    region = np.bincount(mask.ravel(), minlength=256)[best]
    taken = overlap / counts.sum(1).clip(1) > 0.5
    taken |= overlap / region.clip(1) >= 0.85
    left = paint(mask, segments, np.zeros_like(best))
    left[mask == IGNORE_INDEX] = IGNORE_INDEX
    return paint(left, segments, np.where(taken, best, -1))


def read_segments(path: Path, size: Tuple[int, int]) -> Segments:
    """Read the segments of a photo: an index PNG, or run lengths in JSON."""
    try:
        if path.suffix == '.png':
            segments = np.array(Image.open(path)).astype(np.int64)
            found = {segments.shape}
        else:
            from pycocotools.mask import frPyObjects
            content = json.loads(path.read_bytes())
            segments = [one['segmentation'] for one in content]
            for one in segments:
                if isinstance(one['counts'], list):
                    if sum(one['counts']) != np.prod(one['size']):
                        raise ValueError('the RLE counts do not fill the size')
                    one.update(frPyObjects(one, *one['size']))
            found = {inside.shape for inside in decode(segments)}
    except Exception as error:  # each format has errors of its own
        raise UserError(
            f'{path}: cannot be read ({error!r}). Expected an index image, or '
            "segment-anything's JSON list of masks (COCO run lengths), which "
            'needs pip install "mmseg_afa[formats]".') from error
    if found - {size}:
        raise UserError(
            f'{path}: found shape {max(found - {size})}, the photo '
            f'has {size}. Make segments at the size of the photo.')
    return segments


class SegmentFolder:
    """Snap masks to the segments in ``DIR/NAME.png``, or else NAME.json.

    Args:
        folder (Path): DIR.
        names (dict[str, str]): NAME of each photo, by its path.
        rule (str): 'majority' or 'sepl', see :func:`snap_to_segments`.
    """

    def __init__(self,
                 folder: Path,
                 names: Dict[str, str],
                 rule: str = 'majority') -> None:
        if rule not in RULES:
            raise UserError(f'rule: found {rule!r}, expected one of {RULES}.')
        self.rule, self.files = rule, {}
        for path, name in names.items():
            files = (Path(folder, name + end) for end in ('.png', '.json'))
            self.files[path] = next(filter(Path.is_file, files), None)
        missing = [
            names[path] for path, file in self.files.items() if not file
        ]
        if missing:
            raise UserError(
                f'{folder}: {len(missing)} of {len(names)} photos have no '
                f'segments. Add {missing[0]}.png or .json, and so on.')

    def __call__(self, mask: np.ndarray, photo: str) -> np.ndarray:
        """Snap the mask (H, W) uint8 of a photo, named by its path."""
        segments = read_segments(self.files[photo], mask.shape)
        return snap_to_segments(mask, segments, self.rule)
