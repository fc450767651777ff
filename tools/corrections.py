# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Collect the corrections of a former run, for tags_to_masks.py."""
import csv
import re
import shutil
from pathlib import Path
from typing import Dict, Iterable, Mapping, Optional, Sequence, Tuple

from mmseg_afa.datasets import LoadMask
from mmseg_afa.datasets.image_files import find_images
from mmseg_afa.utils import UserError

COLUMNS = ['photo', 'mark', 'tags', 'mask']
MARKS = ('good', 'wrong mask', 'wrong tags')


def masks_in(folder: Optional[Path]) -> Dict[str, str]:
    """List the masks NAME.png of a folder by their names."""
    if folder is None:
        return {}
    found, _ = find_images(str(folder), ['.png'])
    if not found:
        raise UserError(
            f'{folder}: no such folder, or no mask NAME.png in it.')
    return found


def read_decisions(path: Optional[Path]) -> Sequence[dict]:
    """Read decisions.csv of a review page; the file lies beside the page."""
    if path is None:
        return []
    with open(path, encoding='utf-8-sig', newline='') as file:
        reader = csv.DictReader(file)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise UserError(f'{path}:1: found {reader.fieldnames}, expected '
                            f'{", ".join(COLUMNS)}, as review.html saves it.')
        rows = list(reader)
    for number, row in enumerate(rows, 2):
        if row['mark'] not in MARKS:
            raise UserError(f'{path}:{number}: unknown mark {row["mark"]!r}. '
                            f'Write one of {", ".join(MARKS)}.')
        if row['mark'] == 'good' and not (path.parent / row['mask']).is_file():
            raise UserError(
                f'{path}:{number}: no mask {path.parent / row["mask"]}. Save '
                'decisions.csv beside the review.html that it is from.')
    return rows


def correct(labels: Mapping[str, Iterable[str]],
            rows: Iterable[dict]) -> Dict[str, Iterable[str]]:
    """Correct tags: those that a row has, or none where they are wrong.

    A photo with wrong tags is left out, unless its row has other tags.
    """
    labels = {name: set(tags) for name, tags in labels.items()}
    for row in rows:
        if row['mark'] == 'wrong tags' and row['photo'] in labels:
            tags = set(
                filter(None, map(str.strip, re.split('[,;]', row['tags']))))
            if tags == labels[row['photo']]:
                del labels[row['photo']]
            else:
                labels[row['photo']] = tags
    return labels


def find_masks(corrected: Optional[Path], decisions: Optional[Path],
               rows: Sequence[dict]) -> Dict[str, str]:
    """Find the masks that are good, and those that were corrected."""
    masks = {
        row['photo']: str(decisions.parent / row['mask'])
        for row in rows if row['mark'] == 'good'
    }
    return {**masks, **masks_in(corrected)}


def check_masks(masks: Mapping[str, str], sizes: Mapping[str, Tuple[int, int]],
                classes: Sequence[str]) -> None:
    """Check masks against the height and width of the tagged photos."""
    unknown = sorted(masks.keys() - sizes.keys())
    if unknown:
        raise UserError(f'{masks[unknown[0]]}: no tagged photo {unknown[0]!r},'
                        f' as for {len(unknown)} of {len(masks)} masks. Name '
                        'masks like their photos, with folders.')
    load = LoadMask(len(classes) + 1)
    for name, path in masks.items():
        load(
            dict(
                img_path=f'the photo {name}',
                seg_map_path=path,
                ori_shape=sizes[name],
                seg_fields=[]))


def copy_masks(masks: Mapping[str, str], folder: Path) -> None:
    """Copy masks to NAME.png in a folder."""
    for name, path in masks.items():
        copy = folder / f'{name}.png'
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
