# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from CSV and JSON files, for image_labels.py.

A CSV file has one of three forms. The first line is a header if its first cell
is in FIRST_COLUMN::

    image,width,label         a.jpg,cat,dog         image,cat,dog
    a.jpg,640,cat;dog         b.jpg,                a.jpg,1,1
    b.jpg,480,                                      b.jpg,0,0

A JSON file has one of these::

    {"a.jpg": ["cat", "dog"], "b.jpg": []}
    [{"image": "a.jpg", "tags": ["cat", "dog"]}, {"image": "b.jpg", ...}]

The column or key with the image is one of IMAGE_FIELDS, that with the tags one
of TAG_FIELDS. Several tags in one text are separated by commas, semicolons or
bars. What several lines say about an image is taken together. A file that has
another form is a ValueError with its name and line.
"""
import csv
import io
import json
import re
from reprlib import repr as short_repr
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from mmseg_afa.datasets.image_list import read_text, strip_image_suffix

# The classes that a file lists, or None, and the tags of each image.
Read = Tuple[Optional[Sequence[str]], Dict[str, Sequence[str]]]

IMAGE_FIELDS = ('image', 'image_name', 'file', 'file_name', 'filename', 'name',
                'path')
TAG_FIELDS = ('tags', 'tag', 'labels', 'label', 'classes', 'class',
              'categories', 'category')
FIRST_COLUMN = (*IMAGE_FIELDS, 'image_id', 'id', '')
# What the cells of the third form of CSV say, in lower case.
PRESENT = ('1', '1.0', 'true')
ABSENT = ('', '0', '0.0', 'false', '-1', '-1.0')


def read_csv(path: str, delimiter: Optional[str] = None) -> Read:
    """The tags in a CSV file; the delimiter may be 'tab', and can be found."""
    rows = _rows(path, delimiter)
    header, first = ['image', 'tags'], rows[0][1] if rows else ['image']
    if first[0].lower() in FIRST_COLUMN:
        header, rows = first, rows[1:]
    elif len(rows) > 1 and not _is_file(first[0]) and _is_file(rows[1][1][0]):
        raise ValueError(
            f'{path}:1: found {first[0]!r} above {rows[1][1][0]!r}: if this '
            'line is a header, call its first column "image"; else write all '
            'images with a suffix, or none.')
    field = _find(f'{path}:1', header[1:], TAG_FIELDS)
    labels = {}
    for where, cells in rows:
        tags = _tags_of_row(where, cells, header, field)
        labels.setdefault(cells[0], []).extend(tags)
    return None if field else header[1:], labels


def read_json(path: str) -> Read:
    """The tags in a JSON file."""
    content = load_json(path, object_pairs_hook=_without_duplicates)
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
            raise ValueError(
                f'{where}: found {short_repr(record)}, expected '
                '{"image": "a.jpg", "tags": ["cat", "dog"]} or {"a.jpg": '
                '["cat", "dog"]}. --from coco reads annotations of COCO.')
        labels.setdefault(name, []).extend(tag.strip() for tag in tags)
    return None, labels


def load_json(path: str, **options: Callable) -> Any:
    """Read a JSON file; the options are those of :func:`json.loads`."""
    text = read_text(path, 'no such file. Say which with --file.')
    try:
        return json.loads(text, **options)
    except ValueError as error:
        raise ValueError(f'{path}: no JSON file, or a damaged one ({error}). '
                         'Correct it, or copy it again.') from error


def _rows(path: str, delimiter: Optional[str]) -> List[Tuple[str, List[str]]]:
    """File and line, and the cells, of each line that is not empty."""
    text = read_text(path, 'no such file. Say which with --file.')
    if delimiter is None:
        first_line = re.sub('"[^"]*"', '', text).lstrip('\n').split('\n')[0]
        found = [mark for mark in ',;\t' if mark in first_line]
        if len(found) != 1:
            raise ValueError(
                f'{path}:1: found {" and ".join(map(repr, found)) or "none"} '
                'of comma, semicolon and tab in the first line: say what '
                "stands between columns, as --delimiter ','.")
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
        raise ValueError(f'{path}:{reader.line_num}: {error}. Is a quotation '
                         'mark missing, or one too many?') from error
    return [(where, cells) for where, cells in rows if any(cells)]


def _is_file(name: str) -> bool:
    return strip_image_suffix(name) != name


def _find(where: str, fields: Sequence[str],
          names: Sequence[str]) -> Optional[str]:
    """The field that has one of the names, or None."""
    found = [field for field in fields if field.lower() in names]
    if len(found) > 1:
        raise ValueError(f'{where}: found {" and ".join(found)}, which may '
                         'mean the same: remove all of them but one.')
    return found[0] if found else None


def _tags_of_row(where: str, cells: list, header: list,
                 field: Optional[str]) -> List[str]:
    """The tags in a column or, without it, the classes that have a 1."""
    more = len(cells) - len(header)
    if not cells[0] or more < 0 or more > 0 and field != header[-1]:
        raise ValueError(
            f'{where}: found {short_repr(cells)}, expected {len(header)} '
            'cells, the name of an image first: write "a.jpg," for an image '
            'without tags, and several tags in a cell as cat;dog.')
    if field is None:
        for name, cell in zip(header[1:], cells[1:]):
            if cell.lower() not in PRESENT + ABSENT:
                raise ValueError(
                    f'{where}: found {cell!r} in the column {name!r}, '
                    'expected 1 or 0. If the column holds tags, call it '
                    '"tags"; if it is about something else, remove it.')
        return [
            name for name, cell in zip(header[1:], cells[1:])
            if cell.lower() in PRESENT
        ]
    # Where the last column has the tags, they may go on in further cells.
    column = header.index(field)
    found = cells[column:] if field == header[-1] else [cells[column]]
    if more and any(found) and all(cell.lower() in PRESENT + ABSENT
                                   for cell in found):
        raise ValueError(
            f'{where}: found only numbers after the name. If each class has a '
            'column, write a header with their names: "image,cat,dog".')
    return [tag for cell in found for tag in _split_tags(where, cell)]


def _split_tags(where: str, text: str) -> List[str]:
    # Not at spaces: they are part of names, such as 'hot dog'.
    if text.lstrip().startswith('['):
        raise ValueError(f'{where}: found {text!r}, expected tags such as '
                         '"cat;dog": write them without brackets and quotes.')
    return [tag.strip() for tag in re.split('[,;|]', text) if tag.strip()]


def _without_duplicates(pairs: List[tuple]) -> dict:
    content = {}
    for key, value in pairs:
        if key in content:
            raise ValueError(f'the key {key!r} stands twice in an object')
        content[key] = value
    return content
