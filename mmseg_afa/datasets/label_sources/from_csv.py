# Copyright (c) mmseg_afa contributors. All rights reserved.
r"""Tags of a table in a CSV file.

The first column names the image. The first line is a header if its first cell
is one of FIRST_COLUMN. There are three forms:

1. tags, with a header in which exactly one other column is one of TAG_FIELDS::

       image,tags              image,width,label
       a.jpg,cat;dog           a.jpg,640,cat
       b.jpg,                  a.jpg,640,dog

2. tags without a header, in all columns behind the first::

       a.jpg,cat,dog
       b.jpg,

3. one column for each class, with a header of their names::

       image,cat,dog
       a.jpg,1,1
       b.jpg,0,

Several tags in a cell stand with semicolons, commas or bars between them. All
lines about an image are taken together.
"""
import csv
import io
import re
from typing import List, Optional, Tuple

from ..image_list import strip_image_suffix
from ..label_file import Labels
from .names import as_in_image_list
from .tables import IMAGE_FIELDS, TAG_FIELDS, add_tags, read_utf8, split_tags

FIRST_COLUMN = (*IMAGE_FIELDS, 'image_id', 'id', '')
DELIMITERS = {',': 'commas', ';': 'semicolons', '\t': 'tabs'}
# What the cells of the third form say, in lower case.
PRESENT = ('1', '1.0', 'true')
ABSENT = ('', '0', '0.0', 'false', '-1', '-1.0')
NUMBERS = {'1', '1.0', '0', '0.0', '-1', '-1.0'}


def read_csv(
    path: str,
    delimiter: Optional[str] = None
) -> Tuple[Optional[Tuple[str, ...]], Labels]:
    """Read the tags in a CSV file.

    Args:
        path (str): The file, UTF-8, in one of the forms that stand at the
            top of this module.
        delimiter (str, optional): The character between columns. Defaults to
            the comma, semicolon or tab, whichever the first line has.

    Returns:
        tuple: The classes in the header, or None if it lists none; and the
        tags of each image.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the form is not clear, or a line does not have it.
    """
    text = read_utf8(path)
    if delimiter is None:
        delimiter = _find_delimiter(path, text)
    rows = _rows(path, text, delimiter)
    if not rows:
        raise ValueError(f'{path}: has no lines. Write a header such as '
                         '"image,tags", and a line for each image.')
    first = rows[0][1]
    header = None
    if first[0].lower() in FIRST_COLUMN:
        header, rows = first, rows[1:]
    elif len(rows) > 1 and not _is_file(first[0]) and _is_file(rows[1][1][0]):
        raise ValueError(
            f'{path}:1: found {first[0]!r} above {rows[1][1][0]!r}: if this '
            'line is a header, call its first column "image"; else write '
            'all images with a suffix, or none.')
    if header is None:
        classes, labels = None, _read_tags(path, rows, 1, None)
    else:
        columns = [
            i for i, name in enumerate(header)
            if i and name.lower() in TAG_FIELDS
        ]
        if len(columns) > 1:
            raise ValueError(f'{path}:1: several columns may hold the tags: '
                             f'{", ".join(header[i] for i in columns)}. '
                             'Remove all of them but one.')
        if columns:
            classes, labels = None, _read_tags(path, rows, columns[0], header)
        else:
            classes, labels = tuple(header[1:]), _read_grid(path, rows, header)
    return classes, as_in_image_list(path, labels)


def _find_delimiter(path: str, text: str) -> str:
    """The delimiter that the first line has outside quotes."""
    first_line = re.split('[\r\n]', text.lstrip('\r\n'), maxsplit=1)[0]
    outside = ''.join(first_line.split('"')[::2])
    found = [delimiter for delimiter in DELIMITERS if delimiter in outside]
    if len(found) != 1:
        which = ' and '.join(DELIMITERS[i]
                             for i in found) or ('no comma, semicolon or tab')
        raise ValueError(f'{path}:1: found {which} in the first line: say '
                         "what stands between columns, as --delimiter ','.")
    return found[0]


def _rows(path: str, text: str, delimiter: str) -> List[Tuple[str, list]]:
    """File and line, and the cells, of each line that is not empty."""
    reader = csv.reader(
        io.StringIO(text, newline=''),
        delimiter=delimiter,
        skipinitialspace=True,
        strict=True)
    rows = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((f'{path}:{reader.line_num}', cells))
    except csv.Error as error:
        raise ValueError(f'{path}:{reader.line_num}: {error}. Is a quotation '
                         'mark missing, or one too many?') from error
    return rows


def _is_file(name: str) -> bool:
    return strip_image_suffix(name) != name


def _read_tags(path: str, rows: list, column: int,
               header: Optional[list]) -> Labels:
    """Forms 1 and 2; the last column may go on in further ones."""
    labels = {}
    width = 2 if header is None else len(header)
    goes_on = column == width - 1
    for where, cells in rows:
        if len(cells) < width or len(cells) > width and not goes_on:
            raise ValueError(
                f'{where}: found {len(cells)} cells, expected {width}: write '
                '"a.jpg," for an image without tags, and several tags in a '
                'cell as cat;dog.')
        _check_named(where, cells)
        found = cells[column:] if goes_on else [cells[column]]
        if header is None and len(found) > 1 and set(found) <= NUMBERS:
            raise ValueError(
                f'{where}: found only numbers behind the name. If each class '
                'has a column, write a header with their names: '
                '"image,cat,dog".')
        tags = [tag for cell in found for tag in split_tags(where, cell)]
        add_tags(labels, cells[0], tags)
    return labels


def _read_grid(path: str, rows: list, header: list) -> Labels:
    """Form 3."""
    labels = {}
    for where, cells in rows:
        if len(cells) != len(header):
            raise ValueError(f'{where}: found {len(cells)} cells, expected '
                             f'{len(header)} as in the header.')
        _check_named(where, cells)
        tags = []
        for name, cell in zip(header[1:], cells[1:]):
            if cell.lower() in PRESENT:
                tags.append(name)
            elif cell.lower() not in ABSENT:
                raise ValueError(
                    f'{where}: found {cell!r} in the column {name!r}, '
                    'expected 1 or 0. If the column holds tags, call it '
                    '"tags"; if it tells something else, remove it.')
        add_tags(labels, cells[0], tags)
    return labels


def _check_named(where, cells):
    if not cells[0]:
        raise ValueError(f'{where}: names no image: write its name in the '
                         'first column.')
