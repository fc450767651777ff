# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from CSV and JSON files, for label_readers.py.

A CSV file has one of three forms. The first line is a header if its first cell
is one of FIRST_COLUMN::

    image,width,label         a.jpg,cat,dog         image,cat,dog
    a.jpg,640,cat;dog         b.jpg,                a.jpg,1,1
    b.jpg,480,                                      b.jpg,0,0

A JSON file has one of two forms::

    {"a.jpg": ["cat", "dog"], "b.jpg": []}
    [{"image": "a.jpg", "tags": ["cat", "dog"]}, {"image": "b.jpg", ...}]

The column or key of the image is one of IMAGE_FIELDS, that of the tags one of
TAG_FIELDS. Several tags in one text are separated by commas, semicolons or
bars. The tags of several lines about one image are joined.
"""
import csv
import io
import json
import re
from argparse import Namespace
from reprlib import repr as short_repr
from typing import Any, Dict, List, Optional, Sequence, Tuple

from mmseg_afa.datasets.image_files import read_text, strip_image_suffix
from mmseg_afa.utils import UserError

# The classes that a file lists, or None, and the tags of each image.
Read = Tuple[Optional[Sequence[str]], Dict[str, Sequence[str]]]

IMAGE_FIELDS = ('image', 'image_name', 'file', 'file_name', 'filename', 'name',
                'path')
TAG_FIELDS = ('tags', 'tag', 'labels', 'label', 'classes', 'class',
              'categories', 'category')
FIRST_COLUMN = (*IMAGE_FIELDS, 'image_id', 'id', '')
# Cells of the third form of CSV, in lower case.
PRESENT = ('1', '1.0', 'true')
ABSENT = ('', '0', '0.0', 'false', '-1', '-1.0')


def read_csv(path: str, options: Namespace) -> Read:
    """Read the tags of a CSV file."""
    rows = _read_rows(path, options.delimiter)
    header, first = ['image', 'tags'], rows[0][1] if rows else ['image']
    if first[0].lower() in FIRST_COLUMN:
        header, rows = first, rows[1:]
    elif len(rows) > 1 and not _is_file(first[0]) and _is_file(rows[1][1][0]):
        raise UserError(
            f'{path}:1: found {first[0]!r} above {rows[1][1][0]!r}. If this '
            'line is a header, call its first column "image"; else write all '
            'images with a suffix, or none.')
    field = _find(f'{path}:1', header[1:], TAG_FIELDS)
    labels = {}
    for where, cells in rows:
        more = len(cells) - len(header)
        if not cells[0] or more < 0 or more > 0 and field != header[-1]:
            raise UserError(
                f'{where}: found {short_repr(cells)}, expected {len(header)} '
                'cells, the name of an image first. Write "a.jpg," for an '
                'image without tags, and several tags in a cell as cat;dog.')
        if field:
            tags = _tags_in_cells(where, cells, header.index(field), more)
        else:
            tags = _tags_in_columns(where, cells[1:], header[1:])
        labels.setdefault(cells[0], []).extend(tags)
    return None if field else header[1:], labels


def read_json(path: str, options: Namespace) -> Read:
    """Read the tags of a JSON file."""
    content = load_json(path)
    if isinstance(content, dict):
        content = [
            dict(image=name, tags=tags) for name, tags in content.items()
        ]
    labels = {}
    for number, record in enumerate(
            content if isinstance(content, list) else [content], 1):
        where = f'{path}: record {number}'
        values = record if isinstance(record, dict) else {}
        image = _find(where, values, IMAGE_FIELDS)
        field = _find(where, values, TAG_FIELDS)
        name, tags = values.get(image), values.get(field)
        if tags is None or isinstance(tags, str):
            tags = _split_tags(where, tags or '')
        if not (image and field and isinstance(tags, list)
                and all(isinstance(text, str) for text in (name, *tags))):
            raise UserError(
                f'{where}: found {short_repr(record)}, expected '
                '{"image": "a.jpg", "tags": ["cat", "dog"]} or {"a.jpg": '
                '["cat", "dog"]}. --from coco reads annotations of COCO.')
        labels.setdefault(name, []).extend(tag.strip() for tag in tags)
    return None, labels


def load_json(path: str) -> Any:
    """Read a JSON file."""
    text = read_text(path, 'no such file. Name it with --file.')
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(f'{path}: not a JSON file, or a damaged one ({error}).'
                        ' Correct it, or copy it again.') from error


def _read_rows(path: str,
               delimiter: Optional[str]) -> List[Tuple[str, List[str]]]:
    """Read the place, as FILE:LINE, and the cells of lines with content."""
    text = read_text(path, 'no such file. Name it with --file.')
    if delimiter is None:
        first_line = re.sub('"[^"]*"', '', text).lstrip('\n').split('\n')[0]
        found = [mark for mark in ',;\t' if mark in first_line]
        if len(found) != 1:
            raise UserError(
                f'{path}:1: found {" and ".join(map(repr, found)) or "none"} '
                'of comma, semicolon and tab in the first line. Name the '
                "separator of the columns, as --delimiter ','.")
        delimiter, = found
    reader = csv.reader(
        io.StringIO(text),
        delimiter='\t' if delimiter == 'tab' else delimiter,
        skipinitialspace=True,
        strict=True)
    try:
        rows = [(f'{path}:{reader.line_num}', [cell.strip() for cell in row])
                for row in reader]
    except csv.Error as error:
        raise UserError(f'{path}:{reader.line_num}: {error}. Is a quotation '
                        'mark missing, or one too many?') from error
    return [(where, cells) for where, cells in rows if any(cells)]


def _find(where: str, fields: Sequence[str],
          names: Sequence[str]) -> Optional[str]:
    """Find the one field with one of the names; None if there is none."""
    found = [field for field in fields if field.lower() in names]
    if len(found) > 1:
        raise UserError(
            f'{where}: found {" and ".join(found)}, which may mean '
            'the same. Remove all of them but one.')
    return found[0] if found else None


def _tags_in_columns(where: str, cells: List[str],
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


def _tags_in_cells(where: str, cells: List[str], column: int,
                   more: int) -> List[str]:
    """Split the tags in a column and in the cells beyond the header."""
    found = cells[column:column + 1 + more]
    if more and any(found) and all(cell.lower() in PRESENT + ABSENT
                                   for cell in found):
        raise UserError(
            f'{where}: found only numbers after the name. If each class has a '
            'column, write a header with their names: "image,cat,dog".')
    return [tag for cell in found for tag in _split_tags(where, cell)]


def _split_tags(where: str, text: str) -> List[str]:
    # Not at spaces: they are part of names, such as 'hot dog'.
    if text.lstrip().startswith('['):
        raise UserError(f'{where}: found {text!r}, expected tags such as '
                        '"cat;dog". Write them without brackets and quotes.')
    return [tag.strip() for tag in re.split('[,;|]', text) if tag.strip()]


def _is_file(name: str) -> bool:
    return strip_image_suffix(name) != name
