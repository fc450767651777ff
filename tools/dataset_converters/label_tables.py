# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from CSV, JSON and JSON Lines, for label_readers.py.

All become rows, dicts with an image and its tags, in one of two forms::

    image,width,label         image,cat,dog
    a.jpg,640,cat;dog         a.jpg,1,1
    b.jpg,480,                b.jpg,0,0

The field of the image is one of IMAGE_FIELDS, that of the tags one of
TAG_FIELDS. Several tags in one text are separated by commas, semicolons or
bars. The tags of several rows about one image are joined. None stands for an
image without any tag, which nobody may have looked at.
"""
import csv
import json
import re
from collections import Counter
from contextlib import contextmanager
from functools import lru_cache
from io import StringIO
from reprlib import repr as short_repr

import yaml

from mmseg_afa.datasets.image_files import read_text
from mmseg_afa.utils import UserError

# In lower case, without spaces and underscores; the first ones come first.
IMAGE_FIELDS = ('filename', 'image', 'imagename', 'imagefile', 'imagepath',
                'file', 'filepath', 'path', 'imageid', 'name', 'id', '')
TAG_FIELDS = ('tags', 'tag', 'labels', 'label', 'classes', 'class',
              'categories', 'category', 'labelname', 'classname', 'choice',
              'choices')
# Fields beside those of the classes.
OTHER_FIELDS = ('', 'id', 'index', 'unnamed:0', 'width', 'height', 'split',
                'fold', 'source', 'confidence')
ROW = (
    '{"image": "a.jpg", "tags": ["cat", "dog"]}, or a table with the header '
    '"image,tags" and cat;dog in a cell, or with a column of 1 and 0 for each '
    'class. --from auto finds other formats')
EMPTY = ('', 'nan', 'none', 'null', '<na>')
# Cells of the second form, in lower case.
PRESENT = ('1', '1.0', 'true')
ABSENT = (*EMPTY, '0', '0.0', 'false', '-1', '-1.0')


@contextmanager
def explain(where, expected):
    """Let errors of any kind, which damage causes, name what was read."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        missing = 'no ' * isinstance(error, KeyError)
        found = f'{missing}{error}' if str(error) else type(error).__name__
        raise UserError(f'{where}: {found}. Read is {expected}. Correct the '
                        'file, or export it again.') from error


def read_file(path):
    """Read the text of a file that --file names."""
    return read_text(path, 'no such file. Name it with --file.')


def load_json(path):
    """Read a JSON file."""
    return parse_json(path, read_file(path))


def parse_json(where, text):
    """Parse JSON; a key that stands twice is an error."""

    def unique(pairs):
        content = dict(pairs)
        if len(content) < len(pairs):
            key = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise ValueError(f'{key!r} stands there twice')
        return content

    with explain(where, 'JSON'):
        return json.loads(text, object_pairs_hook=unique)


def read_csv(path, options):
    """Read the tags of a CSV file."""
    text = read_file(path)
    named = re.match('"?sep=(.)', text)  # Excel's first line
    first_line = re.sub('"[^"]*"', '', text.partition('\n')[0])
    delimiter = named or re.search('([,;\t|])', first_line)
    lines = csv.reader(
        StringIO(text, newline=''),
        delimiter=delimiter[1] if delimiter else ',',
        skipinitialspace=True)
    for _ in range(1 + bool(named)):
        header = [cell.strip() for cell in next(lines, ())]

    def rows():
        for cells in lines:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                whole = len(cells) == len(header)
                yield f'{path}:{lines.line_num}', (
                    dict(zip(header, cells)) if whole else cells)

    return read_rows(rows(), options)


def read_json(path, options):
    """Read {"a.jpg": ["cat"]} or [{"image": "a.jpg", "tags": ["cat"]}]."""
    content = load_json(path)
    if isinstance(content, dict):
        rows = [(f'{path}: {image!r}', dict(image=image, tags=tags))
                for image, tags in content.items()]
    else:
        rows = [(f'{path}: item {number}', row)
                for number, row in enumerate(content, 1)]
    return read_rows(rows, options)


def read_jsonl(path, options):
    """Read the tags of a file with a JSON object on each line."""
    lines = enumerate(read_file(path).split('\n'), 1)
    wheres = ((f'{path}:{number}', line) for number, line in lines)
    return read_rows(((where, parse_json(where, line))
                      for where, line in wheres if line.strip()), options)


def read_rows(rows, options):
    """Read the tags of rows, each after its place for messages."""
    labels, classes = {}, {}
    for where, row in rows:
        with explain(where, ROW):
            image, tags, columns = read_row(row, options)
        add_tags(labels, image, tags)
        classes.update(dict.fromkeys(columns))
    return [*classes] or None, labels


def read_row(row, options):
    """Read the image of a row, its tags, and the columns of classes."""
    fields = [*row] if isinstance(row, dict) else []
    tagged = find_tag_field(fields, options.column)
    # An unknown first field beside that of the tags is the image.
    first = [one for one in fields[:1] if tagged not in (None, one)]
    image, = [*find_fields(fields, IMAGE_FIELDS), *first, None][:1]
    known = options.classes or ()
    columns = [
        one for one in fields if image is not None and not tagged and (
            one in known or one != image and plain(one) not in OTHER_FIELDS)
    ]
    if not known and any(re.fullmatch(r'[\d.]+', one) for one in columns):
        columns = []  # numbers are no names
    name = row[image] if tagged or columns else None
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f'found {short_repr(row)}')
    if tagged:
        tags = tags_in(row[tagged], options)
    else:
        tags = ones({one: row[one] for one in columns})
    for sure in find_fields(fields, ('confidence', )):
        if not ones({sure: row[sure]}):  # Open Images: 0 is verified absent
            tags = tags and []
    return name.strip(), tags, columns


@lru_cache(maxsize=None)
def plain(field):
    """Remove spaces, underscores and capitals: 'Image_ID' is 'imageid'."""
    return re.sub(r'[\s_-]', '', field.lower())


def find_fields(fields, names):
    """Find the fields with some names, in the order of the names."""
    found = [field for field in fields if plain(field) in names]
    return sorted(found, key=lambda field: names.index(plain(field)))


def find_tag_field(fields, column):
    """Find the field of the tags, which --column may name."""
    found = find_fields(fields, TAG_FIELDS)
    if column:
        found = [field for field in fields if field == column]
    if len(found) > 1 or column and not found:
        raise ValueError(f'found {" and ".join(found or fields)}. Choose one, '
                         f'such as --column {[*found, *fields, "tags"][0]}')
    return found[0] if found else None


def tags_in(value, options):
    """Return the tags in a cell or JSON value; None for an empty one."""
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in EMPTY and text not in (options.normal or ()):
            return None
        if text[:1] + text[-1:] in ('[]', '{}'):  # as JSON or Python has it
            value = yaml.safe_load(text)
        else:
            value = split_tags(text, options.split_at)
    if isinstance(value, dict):
        if 'choices' not in value:  # Label Studio's
            return ones(value)
        value = value['choices']
    if value is None:
        return None
    value = [value] if type(value) is int else value
    if (not isinstance(value, list)
            or not all(type(tag) in (str, int) for tag in value)
            or len(value) > 1 and set(value) <= {0, 1}):
        raise ValueError(f'found {short_repr(value)}, expected names of tags')
    return [str(tag) for tag in value if str(tag).strip()] or None


def ones(cells):
    """Find the classes with a 1; None if all cells are empty."""
    texts = {name: str(cell).strip().lower() for name, cell in cells.items()}
    for name, text in texts.items():
        if text not in PRESENT + ABSENT:
            raise ValueError(f'found {cells[name]!r} in the column {name!r}, '
                             'expected 1 or 0')
    if all(text in EMPTY for text in texts.values()):
        return None
    return [name for name, text in texts.items() if text in PRESENT]


def split_tags(text, separator=None):
    """Split tags; at spaces, as in 'hot dog', only by --split-at SPACE."""
    pattern = r'\s' if separator == 'SPACE' else re.escape(separator or '')
    tags = re.split(pattern or '[,;|\r\n]', text)
    return [tag.strip() for tag in tags if tag.strip()]


def add_tags(labels, name, tags):
    """Join the tags of several records of one image, in place."""
    known = labels.setdefault(name, tags)
    if tags is not None and known is not tags:
        labels[name] = [*(known or ()), *tags]
