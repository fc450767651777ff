# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from CSV and JSON files, for label_readers.py.

A CSV file has a header and one of two forms::

    image,width,label         image,cat,dog
    a.jpg,640,cat;dog         a.jpg,1,1
    b.jpg,480,                b.jpg,0,0

A JSON file has one of two forms::

    {"a.jpg": ["cat", "dog"], "b.jpg": []}
    [{"image": "a.jpg", "tags": ["cat", "dog"]}, {"image": "b.jpg", ...}]

The column or key of the image is one of IMAGE_FIELDS, that of the tags one of
TAG_FIELDS. Several tags in one text are separated by commas, semicolons or
bars. The tags of several lines about one image are joined.
"""
import csv
import json
import re
from argparse import Namespace
from reprlib import repr as short_repr
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from mmseg_afa.datasets.image_files import read_text
from mmseg_afa.utils import UserError

# The classes that a file lists, or None, and the tags of each image.
Read = Tuple[Optional[Sequence[str]], Dict[str, Sequence[str]]]

IMAGE_FIELDS = ('image', 'image_name', 'file', 'file_name', 'filename', 'name',
                'path')
FIRST_COLUMN = (*IMAGE_FIELDS, 'image_id', 'id', '')
TAG_FIELDS = ('tags', 'tag', 'labels', 'label', 'classes', 'class',
              'categories', 'category')
# Cells of the second form of CSV, in lower case.
PRESENT = ('1', '1.0', 'true')
ABSENT = ('', '0', '0.0', 'false', '-1', '-1.0')


def read_csv(path: str, options: Namespace) -> Read:
    """Read the tags of a CSV file."""
    text = read_text(path, 'no such file. Name it with --file.')
    first_line = re.sub('"[^"]*"', '', text.partition('\n')[0])
    delimiter = re.search('[,;\t]', first_line)
    if not delimiter:
        raise UserError(f'{path}:1: found {short_repr(first_line)}, expected '
                        'columns. Separate them with a comma, semicolon or '
                        'tab.')
    rows = csv.reader(
        text.splitlines(), delimiter=delimiter[0], skipinitialspace=True)
    header = [cell.strip() for cell in next(rows)]
    if header[0].lower() not in FIRST_COLUMN:
        raise UserError(f'{path}:1: found {header[0]!r}, expected a header. '
                        'Call its first column "image".')
    tag_field, labels = find_field(header, TAG_FIELDS), {}
    for row in rows:
        cells, where = [cell.strip()
                        for cell in row], f'{path}:{rows.line_num}'
        if not any(cells):
            continue
        if len(cells) != len(header) or not cells[0]:
            raise UserError(
                f'{where}: found {short_repr(cells)}, expected {len(header)} '
                'cells, the name of an image first. Write "a.jpg," for an '
                'image without tags, and several tags in a cell as cat;dog.')
        if tag_field:
            tags = split_tags(cells[header.index(tag_field)])
        else:
            tags = tags_in_columns(where, cells[1:], header[1:])
        labels.setdefault(cells[0], []).extend(tags)
    return None if tag_field else header[1:], labels


def read_json(path: str, options: Namespace) -> Read:
    """Read the tags of a JSON file."""
    content = load_json(path)
    if isinstance(content, dict):
        content = [
            dict(image=name, tags=tags) for name, tags in content.items()
        ]
    labels = {}
    for record in content:
        try:
            name = record[find_field(record, IMAGE_FIELDS)].strip()
            tags = record[find_field(record, TAG_FIELDS)]
            if isinstance(tags, str):
                tags = split_tags(tags)
            labels.setdefault(name, []).extend(tag.strip() for tag in tags)
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(
                f'{path}: found {short_repr(record)}, expected '
                '{"image": "a.jpg", "tags": ["cat", "dog"]} or {"a.jpg": '
                '["cat", "dog"]}. --from coco reads annotations of COCO.'
            ) from error
    return None, labels


def load_json(path: str) -> Any:
    """Read a JSON file."""
    text = read_text(path, 'no such file. Name it with --file.')
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f'{path}: not a JSON file, or a damaged one ({error}).'
                        ' Correct it, or copy it again.') from error


def find_field(fields: Iterable[str], names: Sequence[str]) -> Optional[str]:
    """Find the first field with one of the names."""
    return next((field for field in fields if field.lower() in names), None)


def tags_in_columns(where: str, cells: List[str],
                    classes: List[str]) -> List[str]:
    """Find the classes with a 1 in their column."""
    for name, cell in zip(classes, cells):
        if cell.lower() not in PRESENT + ABSENT:
            raise UserError(
                f'{where}: found {cell!r} in the column {name!r}, expected 1 '
                'or 0. If the column holds tags, call it "tags"; otherwise '
                'remove it.')
    return [
        name for name, cell in zip(classes, cells) if cell.lower() in PRESENT
    ]


def split_tags(text: str) -> List[str]:
    """Split tags; not at spaces, which are part of names like 'hot dog'."""
    return [tag.strip() for tag in re.split('[,;|]', text) if tag.strip()]
