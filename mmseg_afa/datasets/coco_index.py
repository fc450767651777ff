# Copyright (c) mmseg_afa contributors. All rights reserved.
"""COCO's annotation files, image by image, in little memory.

A file of COCO 2014 has 330 MB, its annotations in any order. It is read
once, piece by piece, into a database on disk, which then gives out each image
with its annotations.
"""
import json
import os.path as osp
import sqlite3
from contextlib import closing
from pathlib import Path
from reprlib import repr as short_repr
from typing import Iterator, List, Sequence, Union

import ijson
from PIL import Image
from rich import progress
from rich.console import Console

from ..utils import replacing
from .coco_masks import CocoAnnotation, CocoImage
from .image_list import check_name
from .label_file import explain_unknown

MAX_DEPTH = 50  # of lists in lists; COCO's files have 5
MAX_PIXELS = Image.MAX_IMAGE_PIXELS  # Pillow warns of larger masks
MAX_INTEGER = 2**63 - 1  # of SQLite

OPENING, CLOSING = ('start_map', 'start_array'), ('end_map', 'end_array')

TABLES = '''
CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE images (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE, height INTEGER, width INTEGER);
CREATE TABLE annotations (
    id INTEGER, image_id INTEGER, category_id INTEGER, iscrowd INTEGER,
    degenerate INTEGER, segmentation TEXT);
'''
# Made at the end, which is faster.
ORDER = 'CREATE INDEX image_of ON annotations (image_id, id)'

# What finds a broken annotation, and what is wrong with it.
CHECKS = (
    ('SELECT id FROM annotations GROUP BY id HAVING COUNT(*) > 1',
     'has the id of another annotation'),
    ('SELECT id, image_id FROM annotations '
     'WHERE image_id NOT IN (SELECT id FROM images)',
     "belongs to the image {}, which is not in 'images'"),
    ('SELECT id, category_id FROM annotations '
     'WHERE category_id NOT IN (SELECT id FROM categories)',
     "belongs to the category {}, which is not in 'categories'"),
)


class CocoIndex:
    """The database; :func:`build_index` makes it.

    Args:
        path (str or Path): Its file.
    """

    def __init__(self, path: Union[str, Path]) -> None:
        self._path = path
        self._database = _connect(path, 'immutable=1')

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def names(self) -> List[str]:
        """The names of the images that have annotations, sorted.

        Raises:
            ValueError: If a name leads out of the folder of images, or an
                image is too large, which :func:`build_index` lets not pass.
        """
        return [name for _, name, _, _ in self._rows()]

    def images(self) -> Iterator[CocoImage]:
        """Give out the images that have annotations, sorted by name."""
        ids = self._database.execute('SELECT id FROM categories ORDER BY id')
        number = {category: i for i, (category, ) in enumerate(ids, 1)}
        for image, *properties in self._rows():
            annotations = self._database.execute(
                'SELECT id, category_id, iscrowd, segmentation '
                'FROM annotations WHERE image_id = ? ORDER BY id', (image, ))
            yield CocoImage(
                *properties,
                tuple(
                    CocoAnnotation(id, number[category], bool(iscrowd), text)
                    for id, category, iscrowd, text in annotations))

    def num_degenerate(self) -> int:
        """How many polygons have less than three points."""
        return self._database.execute(
            'SELECT SUM(degenerate) FROM annotations').fetchone()[0]

    def _rows(self):
        for image in self._database.execute(
                'SELECT id, name, height, width FROM images WHERE EXISTS '
                '(SELECT 1 FROM annotations WHERE image_id = images.id) '
                'ORDER BY name'):
            # The file may have come with a data set from elsewhere.
            identity, name, height, width = image
            yield _check_image(
                self._path,
                dict(
                    id=identity,
                    file_name=f'{name}.jpg',
                    height=height,
                    width=width))


def build_index(annotation_file: Union[str, Path],
                path: Union[str, Path],
                classes: Sequence[str],
                description: str = 'Reading annotations') -> None:
    """Read an annotation file into a database, all of it or nothing.

    Args:
        annotation_file (str or Path): A file of COCO, or in its format.
        path (str or Path): The database.
        classes (Sequence[str]): The foreground classes, which must be the
            categories of the file in the order of their ids. Their numbers
            in masks are 1, 2, ...
        description (str): Stands before the progress bar.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, lacks something, or has other classes,
            ids that fit to nothing, or a file name that leads out of the
            folder of images.
    """
    with replacing(path) as unfinished, closing(
            _connect(unfinished, 'mode=rwc&nolock=1')) as database:
        # Left behind by a crash it is not used: it needs no journal.
        database.execute('PRAGMA journal_mode = OFF')
        database.execute('PRAGMA synchronous = OFF')
        database.executescript(TABLES)
        database.execute('BEGIN')
        counts = dict.fromkeys(SECTIONS, 0)
        for section, item in _read_items(annotation_file, description):
            if not isinstance(item, dict):
                raise ValueError(f'{annotation_file}: {section!r} holds '
                                 f'{short_repr(item)}, expected objects.')
            SECTIONS[section](database, annotation_file, item)
            counts[section] += 1
        for section, count in counts.items():
            if not count:
                raise ValueError(
                    f'{annotation_file}: has no {section!r}. It must be one '
                    "of COCO's instances_*.json, or in their format.")
        database.execute(ORDER)
        _check(database, annotation_file, classes)
        database.execute('COMMIT')


def _connect(path, mode):
    # No locks: network storage often has none. Nobody else writes here.
    return sqlite3.connect(
        f'{Path(path).absolute().as_uri()}?{mode}',
        uri=True,
        isolation_level=None)


def _read_items(path, description):
    """Yield (section, item) for the items of SECTIONS, in the file's order."""
    with progress.open(
            path, 'rb', description=description,
            console=Console(stderr=True)) as file:
        try:
            yield from _build_items(path,
                                    ijson.basic_parse(file, use_float=True))
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise ValueError(f'{path}: no JSON file, or a damaged one '
                             f'({error}). Copy or unpack it again.') from error


def _build_items(path, events):
    # The higher levels of ijson find one section in a pass, and keep the path
    # to each object, which takes memory quadratic in the depth of a file.
    depth, section, builder = 0, None, None
    for event, value in events:
        if event in CLOSING:
            depth -= 1
        if depth == 1 and event == 'map_key':
            section = value
        elif depth >= 2 and section in SECTIONS:
            if depth == 2 and event == 'map_key':
                raise ValueError(f'{path}: {section!r} is no list.')
            if depth == 2 and event not in CLOSING:
                builder = ijson.ObjectBuilder()
            builder.event(event, value)
            if depth == 2 and event not in OPENING:
                yield section, builder.value
        if event in OPENING:
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f'{path}: has lists in lists more than '
                                 f'{MAX_DEPTH} deep.')


def _add_category(database, path, item):
    identity = _integer(path, item, 'id')
    name = _text(f'{path}: category {identity}', item, 'name')
    _insert(database, path, 'categories', (identity, name))


def _add_image(database, path, item):
    _insert(database, path, 'images', _check_image(path, item))


def _check_image(path, item):
    """Id, name without suffix, height and width of an entry of 'images'."""
    identity = _integer(path, item, 'id')
    where = f'{path}: image {identity}'
    height = _integer(where, item, 'height', 1)
    width = _integer(where, item, 'width', 1)
    if height * width > MAX_PIXELS:
        raise ValueError(f'{where}: is {width} x {height} pixels large, '
                         f'expected at most {MAX_PIXELS} in all.')
    file_name = _text(where, item, 'file_name')
    name = osp.splitext(file_name)[0]
    check_name(where, name)
    # It must serve in an image list, and as the name of a visible file.
    if (not name.isprintable() or name != name.strip() or '/' in name
            or name[:1] in ('', '.')):
        raise ValueError(f'{where}: {short_repr(file_name)} is no name of an '
                         "image such as 'COCO_train2014_000000000009.jpg'.")
    return identity, name, height, width


def _add_annotation(database, path, item):
    identity = _integer(path, item, 'id')
    where = f'{path}: annotation {identity}'
    image = _integer(where, item, 'image_id')
    category = _integer(where, item, 'category_id')
    iscrowd = _integer(where, item, 'iscrowd', 0, 1)
    if 'segmentation' not in item:
        raise ValueError(f"{where}: has no 'segmentation'.")
    segmentation = item['segmentation']
    degenerate = sum(
        isinstance(part, list) and len(part) < 6
        for part in segmentation) if isinstance(segmentation, list) else 0
    _insert(database, path, 'annotations',
            (identity, image, category, iscrowd, degenerate,
             json.dumps(segmentation)))


SECTIONS = dict(
    categories=_add_category, images=_add_image, annotations=_add_annotation)


def _insert(database, path, table, row):
    places = ', '.join('?' * len(row))
    try:
        database.execute(f'INSERT INTO {table} VALUES ({places})', row)
    except sqlite3.IntegrityError as error:
        raise ValueError(f'{path}: {table!r} holds {row[:2]}, whose id or '
                         'name another one has as well.') from error
    except UnicodeEncodeError as error:
        raise ValueError(f'{path}: {table!r} holds {row[:2]}, which is no '
                         f'text ({error}).') from error


def _integer(where, item, key, low=0, high=MAX_INTEGER):
    value = item.get(key)
    if not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f'{where}: {key!r} is {short_repr(value)}, expected '
                         f'an integer from {low} to {high}.')
    return value


def _text(where, item, key):
    value = item.get(key)
    if not isinstance(value, str):
        raise ValueError(
            f'{where}: {key!r} is {short_repr(value)}, expected a text.')
    return value


def _check(database, path, classes):
    names = [
        name for name, in database.execute(
            'SELECT name FROM categories ORDER BY id')
    ]
    for name in names:
        if name not in classes:
            raise ValueError(f'{path}: {explain_unknown(name, classes)}')
    if names != list(classes):
        raise ValueError(
            f'{path}: has {len(names)} categories, by their ids '
            f'{short_repr(names)}, expected the {len(classes)} classes '
            f'{short_repr(list(classes))}, from which it lacks some or has '
            'them in another order.')
    for query, problem in CHECKS:
        broken = database.execute(query + ' LIMIT 1').fetchone()
        if broken:
            raise ValueError(f'{path}: annotation {broken[0]}: '
                             f'{problem.format(*broken[1:])}.')
