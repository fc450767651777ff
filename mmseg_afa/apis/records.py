# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What is known of a photo's masks: numbers to sort by, and a table."""
import csv
import heapq
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence

import numpy as np

from ..utils import IGNORE_INDEX, replacing

COLUMNS = ('photo', 'source', 'class', 'area', 'confidence', 'score', 'tag',
           'remark')


def describe(mask: np.ndarray, confidence: np.ndarray,
             classes: Sequence[str]) -> Dict[str, Dict[str, float]]:
    """Share of the photo and mean confidence of the classes that are shown.

    Args:
        mask (np.ndarray): uint8 (H, W), 0..C and 255.
        confidence (np.ndarray): uint8 (H, W), 255 is certain.
        classes (Sequence[str]): Names of 0..C.

    Returns:
        dict: 'area' and 'confidence', each in [0, 1], by class; that of 255
        is called 'unsure'.
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


def remarks(shown: Sequence[str], scores: Dict[str, float],
            tags: Optional[Sequence[str]]) -> Dict[str, str]:
    """What does not go together, by class.

    Args:
        shown (Sequence[str]): The classes in the mask.
        scores (dict[str, float]): Probability of each class by the
            classifier; empty for a model without one.
        tags (Sequence[str], optional): The photo's tags, if they are known.
    """
    found = {}
    for name in [*scores, *(set(tags or ()) - set(scores))]:
        likely = scores.get(name, 0.5) > 0.5
        text = []
        if tags is None:
            if likely and name not in shown and name in scores:
                text.append('predicted, empty mask')
        elif name in tags:
            if name not in shown:
                text.append('tag with an empty mask')
            if scores.get(name, 1) <= 0.5:
                text.append('tag that the classifier contradicts')
        elif likely and name in scores:
            text.append('predicted, but no tag')
        if text:
            found[name] = '; '.join(text)
    return found


def doubt(record: dict, source: str) -> float:
    """How doubtful the mask of a source is, in [0, 2].

    One minus the mean confidence over the pixels (that of 255 in a pseudo
    label is 0); plus one where tags, classifier and mask do not go together:
    such photos come first.
    """
    entry = record['sources'][source]
    mean = sum(x['area'] * x['confidence'] for x in entry['classes'].values())
    return 1 - mean + bool(entry['remarks'])


def table_rows(record: dict) -> Iterable[list]:
    """The rows of a photo in images.csv."""
    tags, scores = record['tags'], record['scores']
    for source, entry in record['sources'].items():
        names = list(entry['classes'])
        names += [
            n for n in [*(tags or ()), *entry['remarks']] if n not in names
        ]
        for name in dict.fromkeys(names):
            one = entry['classes'].get(name, dict(area=0, confidence=''))
            tag = '' if tags is None else 'yes' if name in tags else 'no'
            yield [
                record['photo'], source, name, one['area'], one['confidence'],
                scores.get(name, ''),
                tag if name in scores or name in (tags or ()) else '',
                entry['remarks'].get(name, '')
            ]


def write_table(path: Path, records: Iterable[dict]) -> None:
    """Write images.csv, all of it or nothing."""
    with replacing(path) as unfinished:
        with open(unfinished, 'w', encoding='utf-8', newline='') as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for record in records:
                writer.writerows(table_rows(record))


def most_doubtful(records: Iterable[dict], source: str,
                  number: int) -> List[dict]:
    """The photos whose masks are most doubtful, the worst first."""
    return heapq.nlargest(number, records, key=lambda r: doubt(r, source))
