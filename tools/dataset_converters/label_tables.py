# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from CSV and JSON files, for label_readers.py.

A CSV file has a header and one of two forms::

    image,width,label         image,cat,dog
    a.jpg,640,cat;dog         a.jpg,1,1
    b.jpg,480,                b.jpg,0,0

A JSON file has one of two forms, and a JSON Lines file an object a line::

    {"a.jpg": ["cat", "dog"], "b.jpg": []}
    [{"image": "a.jpg", "tags": ["cat", "dog"]}, {"image": "b.jpg", ...}]

The column or key of the image is one of IMAGE_FIELDS, that of the tags one of
TAG_FIELDS. Several tags in one text are separated by commas, semicolons or
bars. The tags of several lines about one image are joined. None stands for an
image without any tag, which nobody may have looked at.
"""
import ast
import csv
import json
import re
from argparse import Namespace
from contextlib import suppress
from io import StringIO
from reprlib import repr as short_repr
from typing import (Any, Dict, Iterable, List, Mapping, Optional, Sequence,
                    Tuple)

from mmseg_afa.datasets.image_files import read_text
from mmseg_afa.datasets.label_file import CONTROL
from mmseg_afa.utils import UserError

Labels = Dict[str, Optional[Sequence[str]]]
# The classes that a file lists, or None, and the tags of each image.
Read = Tuple[Optional[Sequence[str]], Labels]

# In lower case, without spaces and underscores; the first ones come first.
IMAGE_FIELDS = ('filename', 'image', 'imagename', 'imagefile', 'imagepath',
                'file', 'filepath', 'path', 'imageid', 'name', 'id', '')
TAG_FIELDS = ('tags', 'tag', 'labels', 'label', 'classes', 'class',
              'categories', 'category', 'labelname', 'classname', 'choice',
              'choices')
# Columns beside those of the classes.
OTHER_FIELDS = ('', 'id', 'index', 'unnamed:0', 'width', 'height', 'split',
                'fold', 'source', 'confidence')
EMPTY = ('', 'nan', 'none', 'null', '<na>')
# Cells of the second form of CSV, in lower case.
PRESENT = ('1', '1.0', 'true')
ABSENT = (*EMPTY, '0', '0.0', 'false', '-1', '-1.0')


def read_csv(path: str, options: Namespace) -> Read:
    """Read the tags of a CSV file."""
    text = read_text(path, 'no such file. Name it with --file.')
    named = re.match('"?sep=(.)', text)  # Excel's first line
    first_line = re.sub('"[^"]*"', '', text.partition('\n')[0])
    delimiter = named or re.search('([,;\t|])', first_line)
    if not delimiter:
        raise UserError(f'{path}:1: found {short_repr(first_line)}, expected '
                        'columns. Separate them with a comma, semicolon or '
                        'tab.')
    rows = csv.reader(
        StringIO(text, newline=''),
        delimiter=delimiter[1],
        skipinitialspace=True)
    try:
        return read_rows(path, rows, bool(named), options)
    except csv.Error as error:
        raise UserError(
            f'{path}:{rows.line_num}: {error}. Correct the row.') from error


def read_rows(path: str, rows: Any, skip_first: bool,
              options: Namespace) -> Read:
    """Read the tags in the rows of a table."""
    for _ in range(1 + skip_first):
        header = [cell.strip() for cell in next(rows, [''])]
    where = f'{path}:{rows.line_num}'
    tag_field = find_tag_field(where, header, options.column)
    image_field = find_field(header, IMAGE_FIELDS)
    if image_field is None and tag_field not in (None, header[0]):
        image_field = header[0]
    if image_field is None:
        raise UserError(f'{where}: found {header[0]!r}, expected a header. '
                        'Call its first column "image".')
    classes = [] if tag_field else class_columns(where, header, image_field,
                                                 options.classes or ())
    confidence, labels = find_field(header, ('confidence', )), {}
    for row in rows:
        cells, where = [cell.strip()
                        for cell in row], f'{path}:{rows.line_num}'
        if not any(cells):
            continue
        record = dict(zip(header, cells))
        name = record.get(image_field)
        if len(cells) != len(header) or not name or CONTROL.search(name):
            raise UserError(
                f'{where}: found {short_repr(cells)}, expected {len(header)} '
                'cells, with the name of an image in one line. Write several '
                'tags in a cell as cat;dog.')
        if tag_field:
            tags = tags_in(where, record[tag_field], options)
            # Open Images: 0 is verified to be absent.
            if confidence and not ones(where,
                                       {confidence: record[confidence]}):
                tags = tags and []
        else:
            tags = ones(where, {one: record[one] for one in classes})
        add_tags(labels, name, tags)
    return classes or None, labels


def class_columns(where: str, header: Sequence[str], image_field: str,
                  known: Sequence[str]) -> List[str]:
    """Find the columns of classes, which have a 1 or 0 in each row."""
    classes = [
        one for one in header if one in known
        or one != image_field and plain(one) not in OTHER_FIELDS
    ]
    numbers = [one for one in classes if re.fullmatch(r'[\d.]+', one)]
    if numbers and not known or not classes:
        raise UserError(
            f'{where}: found the columns {header}, expected a header with a '
            'column of tags, called "tags", or a column for each class. For '
            'classes with numbers as names, list them with --classes.')
    return classes


def read_json(path: str, options: Namespace) -> Read:
    """Read the tags of a JSON file."""
    text = read_text(path, 'no such file. Name it with --file.')
    content = load_json(path, text)
    if isinstance(content, dict):
        content = [
            dict(image=name, tags=tags) for name, tags in content.items()
        ]
    if not isinstance(content, list):
        content = [content]
    return None, read_records(((path, one) for one in content), options)


def read_jsonl(path: str, options: Namespace) -> Read:
    """Read the tags of a file with a JSON object on each line."""
    text = read_text(path, 'no such file. Name it with --file.')
    lines = enumerate(text.split('\n'), 1)
    return None, read_records(
        ((f'{path}:{number}', load_json(f'{path}:{number}', line))
         for number, line in lines if line.strip()), options)


def read_records(records: Iterable[Tuple[str, Any]],
                 options: Namespace) -> Labels:
    """Read the tags of records, each after its place for messages."""
    labels = {}
    for where, record in records:
        fields = record if isinstance(record, dict) else ()
        image = find_field(fields, IMAGE_FIELDS)
        field = find_tag_field(where, fields, options.column)
        if None in (image, field) or not isinstance(record[image], str):
            raise UserError(
                f'{where}: found {short_repr(record)}, expected '
                '{"image": "a.jpg", "tags": ["cat", "dog"]} or {"a.jpg": '
                '["cat", "dog"]}. --from auto finds other formats.')
        name = record[image].strip()
        tags = tags_in(f'{where}: {name!r}', record[field], options)
        add_tags(labels, name, tags)
    return labels


def load_json(where: str, text: str) -> Any:
    """Read JSON; a key that stands twice is an error."""

    def unique(pairs):
        content = dict(pairs)
        if len(content) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f'{twice!r} stands there twice')
        return content

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise UserError(f'{where}: not a JSON file, or a damaged one ({error})'
                        '. Correct it, or copy it again.') from error


def plain(field: str) -> str:
    """Remove spaces, underscores and capitals: 'Image_ID' is 'imageid'."""
    return re.sub(r'[\s_-]', '', field.lower())


def find_field(fields: Iterable[str], names: Sequence[str]) -> Optional[str]:
    """Find the field with the first of the names."""
    found = [field for field in fields if plain(field) in names]
    return min(
        found, key=lambda field: names.index(plain(field)), default=None)


def find_tag_field(where: str, fields: Iterable[str],
                   column: Optional[str]) -> Optional[str]:
    """Find the field of the tags, which --column may name."""
    found = [
        field for field in fields
        if (field == column if column else plain(field) in TAG_FIELDS)
    ]
    if len(found) > 1 or column and not found:
        raise UserError(f'{where}: found {" and ".join(found or fields)}, '
                        'expected one column of tags. Choose it, such as '
                        f'--column {[*found, *fields][0]}.')
    return found[0] if found else None


def tags_in(where: str, value: Any, options: Namespace) -> Optional[List[str]]:
    """Return the tags in a cell or JSON value; None for an empty one."""
    known = options.normal or ()
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in EMPTY and text not in known:
            return None
        is_list = text[:1] + text[-1:] in ('[]', '{}')
        value = (
            parse_list(text) if is_list else split_tags(
                text, options.split_at))
    if isinstance(value, dict):
        if not isinstance(value.get('choices'), list):  # Label Studio's
            return ones(where, value)
        value = value['choices']
    value = [value] if type(value) is int else value
    if value is None:
        return None
    if (not isinstance(value, list)
            or not all(type(tag) in (str, int) for tag in value)
            or len(value) > 1 and set(value) <= {0, 1}):
        raise UserError(
            f'{where}: found {short_repr(value)}, expected tags: a text, '
            '["cat", "dog"], or {"cat": 1, "dog": 0}. Write names in place of '
            'zeros and ones. --from auto finds other formats.')
    return [str(tag) for tag in value if str(tag).strip()] or None


def parse_list(text: str) -> Any:
    """Parse a list as JSON or Python writes it; else return the text."""
    if not re.search(r'''['"]\s+['"]''', text):  # numpy's: one text to Python
        for parse in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError, MemoryError,
                          RecursionError):
                return parse(text)
    return text


def ones(where: str, cells: Mapping[str, Any]) -> Optional[List[str]]:
    """Find the classes with a 1; None if all cells are empty."""
    texts = {
        name: '' if cell is None else str(cell).strip().lower()
        for name, cell in cells.items()
    }
    for name, text in texts.items():
        if text not in PRESENT + ABSENT:
            raise UserError(
                f'{where}: found {cells[name]!r} in the column {name!r}, '
                'expected 1 or 0. If the column holds tags, call it "tags"; '
                'otherwise remove it.')
    if all(text in EMPTY for text in texts.values()):
        return None
    return [name for name, text in texts.items() if text in PRESENT]


def split_tags(text: str, separator: Optional[str] = None) -> List[str]:
    """Split tags; at spaces, as in 'hot dog', only by --split-at SPACE."""
    pattern = r'\s' if separator == 'SPACE' else re.escape(separator or '')
    tags = re.split(pattern or '[,;|\r\n]', text)
    return [tag.strip() for tag in tags if tag.strip()]


def add_tags(labels: Labels, name: str, tags: Optional[Sequence[str]]) -> None:
    """Join the tags of several records of one image, in place."""
    known = labels.setdefault(name, tags)
    if tags is not None and known is not tags:
        labels[name] = [*(known or ()), *tags]
