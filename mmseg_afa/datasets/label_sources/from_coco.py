# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Tags of annotations in COCO's format: the categories of the instances."""
from codecs import BOM_UTF8
from typing import Any, Iterator, Tuple

from rich.console import Console
from rich.progress import open as open_with_progress

from ..label_file import Labels
from .names import as_in_image_list
from .shallow_file import ShallowFile


def read_coco(path: str,
              crowd: str = 'keep') -> Tuple[Tuple[str, ...], Labels]:
    """Read the tags of each image from the instances of a COCO file.

    The file is read piece by piece: the memory it takes grows with the number
    of images, not with that of the polygons.

    Args:
        path (str): A JSON file with images, annotations and categories.
        crowd (str): 'drop' leaves out annotations of crowds (iscrowd is 1);
            'keep' does not.

    Returns:
        tuple: The names of the categories, in the order of their ids; and the
        tags of each image, none for one without annotations.

    Raises:
        FileNotFoundError: If there is no such file.
        ImportError: If ijson is not installed.
        ValueError: If it is no such file, or an annotation is of an image or
            a category that it does not list.
    """
    categories, images, tags = {}, {}, {}
    for where, item in _items(path, 'categories'):
        number, name = _get(where, item, 'id', int), _get(where, item, 'name')
        _add(where, categories, number, name.strip())
    for where, item in _items(path, 'images'):
        number = _get(where, item, 'id', (int, str))
        name = _get(where, item, 'file_name')
        if name in tags:
            raise ValueError(f'{where}: the file_name {name!r} stands before '
                             'already: remove one of the two.')
        _add(where, images, number, name)
        tags[name] = {}
    for where, item in _items(path, 'annotations'):
        image = _get(where, item, 'image_id', (int, str))
        category = _get(where, item, 'category_id', int)
        for kind, number, known in (('image', image, images),
                                    ('category', category, categories)):
            if number not in known:
                raise ValueError(f'{where}: is of {kind} {number!r}, which '
                                 'the file does not list.')
        if crowd == 'keep' or not item.get('iscrowd'):
            tags[images[image]][categories[category]] = None
    classes = tuple(categories[number] for number in sorted(categories))
    return classes, as_in_image_list(path, tags)


def _items(path: str, key: str) -> Iterator[Tuple[str, dict]]:
    """The objects in a list of the file, each with its place in it."""
    try:
        import ijson  # training does without it
    except ImportError as error:
        raise ImportError(
            f'{error}: `pip install -r requirements/data.txt`.') from error
    number = 0
    with open_with_progress(
            path, 'rb', description=f'Reading {key}',
            console=Console(stderr=True)) as file:
        if file.read(len(BOM_UTF8)) != BOM_UTF8:
            file.seek(0)
        items = ijson.items(ShallowFile(file), f'{key}.item', use_float=True)
        while True:
            try:
                item = next(items, None)
            except (ijson.JSONError, ValueError) as error:
                reason = str(error).partition('\n')[0]
                raise ValueError(f'{path}: no JSON file, or a damaged one '
                                 f'({reason}). Copy it again.') from error
            if item is None:
                break
            yield f'{path}: {key}[{number}]', item
            number += 1
    if not number and key != 'annotations':
        raise ValueError(f'{path}: has no {key}, or an empty list of them. '
                         'Give a file with images, annotations and '
                         'categories, as instances_train2014.json of COCO.')


def _get(where: str, item: Any, key: str, kind: Any = str) -> Any:
    """The value of a key, of the kind it must have."""
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, kind):
        expected = 'a string' if kind is str else 'a number'
        raise ValueError(f'{where}: has no {key}, or one that is not '
                         f'{expected}.')
    return value


def _add(where: str, names: dict, number: Any, name: str) -> None:
    if number in names:
        raise ValueError(f'{where}: the id {number!r} stands before already, '
                         f'for {names[number]!r}: give each its own.')
    names[number] = name
