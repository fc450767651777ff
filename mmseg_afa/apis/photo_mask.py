# Copyright (c) mmseg_afa contributors. All rights reserved.
"""A photo and its mask, an indexed PNG that carries its own statistics.

The statistics stand in a text field of the file. So a mask that exists is
complete, and memory does not grow with the number of photos.
"""
import json
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..datasets.mask_file import encode_mask, read_mask
from ..utils import IGNORE_INDEX, replacing
from .photos import Photo

TEXT_FIELD = 'mmseg_afa'  # of the PNG

Statistics = Dict[str, Dict[str, float]]


def class_statistics(mask: np.ndarray, confidence: np.ndarray,
                     classes: Sequence[str]) -> Statistics:
    """Compute area and mean confidence of each class in a mask.

    Args:
        mask (np.ndarray): uint8 (H, W), 0..C and 255.
        confidence (np.ndarray): uint8 (H, W), 255 is certain.
        classes (Sequence[str]): Names of 0..C.

    Returns:
        dict: 'area' (share of the photo) and 'confidence', both in [0, 1], by
        class. 'unsure' is 255.
    """
    pixels = np.bincount(mask.ravel(), minlength=256)
    sums = np.bincount(mask.ravel(), confidence.ravel(), minlength=256)
    names = {**dict(enumerate(classes)), IGNORE_INDEX: 'unsure'}
    return {
        names[i]:
        dict(
            area=round(pixels[i] / mask.size, 6),
            confidence=round(sums[i] / pixels[i] / 255, 4))
        for i in np.flatnonzero(pixels)
    }


class MaskRecord(NamedTuple):
    """Statistics of a mask, and what else is known of its photo.

    Attributes:
        statistics (dict): See :func:`class_statistics`.
        scores (dict[str, float]): Probability of each foreground class from
            the classifier. Empty for a model without one.
        tags (list[str], optional): Tags of the photo, if they are given.
    """
    statistics: Statistics
    scores: Dict[str, float]
    tags: Optional[List[str]]

    def confidence(self, name: str) -> float:
        """Return the mean confidence of a class, 0 if no pixel shows it."""
        return self.statistics.get(name, dict(confidence=0.))['confidence']


def inconsistencies(record: MaskRecord) -> Dict[str, str]:
    """List, per class, where mask, classifier and tags disagree."""
    shown, scores, tags = record
    found = {}
    for name in dict.fromkeys([*scores, *(tags or ())]):
        likely = scores.get(name, 0) > 0.5
        text = []
        if tags is None:
            if likely and name not in shown:
                text.append('predicted, empty mask')
        elif name in tags:
            if name not in shown:
                text.append('tag with an empty mask')
            if name in scores and not likely:
                text.append('tag that the classifier contradicts')
        elif likely:
            text.append('predicted, but no tag')
        if text:
            found[name] = '; '.join(text)
    return found


def uncertainty(record: MaskRecord) -> float:
    """Rate how much a mask needs a review, in [0, 2].

    The rate is one minus the mean confidence over the pixels, plus one for a
    mask with inconsistencies.
    """
    mean = sum(one['area'] * one['confidence']
               for one in record.statistics.values())
    return 1 - mean + bool(inconsistencies(record))


def table_rows(record: MaskRecord) -> Iterator[list]:
    """Make the rows of a mask in images.csv, without photo and source."""
    statistics, scores, tags = record
    remarks = inconsistencies(record)
    for name in dict.fromkeys([*statistics, *(tags or ()), *remarks]):
        one = statistics.get(name, dict(area=0, confidence=''))
        tag = ''
        if tags is not None and (name in scores or name in tags):
            tag = 'yes' if name in tags else 'no'
        yield [
            name, one['area'], one['confidence'],
            scores.get(name, ''), tag,
            remarks.get(name, '')
        ]


class PhotoMask(NamedTuple):
    """A photo and its mask of one source.

    Attributes:
        photo (Photo): The photo.
        path (Path): The mask, an indexed PNG. 255 is ignored.
        classes (Sequence[str]): Names of 0..C.
        palette (Sequence): Their colours, [R, G, B].
    """
    photo: Photo
    path: Path
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]

    def read(self) -> np.ndarray:
        """Read the mask, uint8 (H, W)."""
        return read_mask(str(self.path), len(self.classes))

    def write(self, mask: np.ndarray, record: MaskRecord) -> None:
        """Write a mask with its statistics, completely or not at all."""
        text = PngInfo()
        text.add_text(TEXT_FIELD, json.dumps(record._asdict()), zip=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as unfinished:
            unfinished.write_bytes(encode_mask(mask, self.palette, text))

    def record(self) -> MaskRecord:
        """Read the statistics.

        Other programs drop the statistics when they save a corrected mask.
        The pixels of such a mask are certain.
        """
        with Image.open(self.path) as image:
            text = image.info.get(TEXT_FIELD)
        if text is not None:
            return MaskRecord(**json.loads(text))
        mask = self.read()
        certain = np.full_like(mask, 255)
        return MaskRecord(
            class_statistics(mask, certain, self.classes), {}, None)
