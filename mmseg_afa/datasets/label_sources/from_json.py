# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Tags in a JSON file.

One of::

    {"a.jpg": ["cat", "dog"], "b.jpg": []}
    {"a.jpg": "cat, dog", "b.jpg": ""}
    [{"image": "a.jpg", "tags": ["cat", "dog"]}, {"image": "b.jpg", ...}]

In the last form the fields have one of the names IMAGE_FIELDS and TAG_FIELDS;
other fields are left alone, and all records of an image are taken together.
"""
import json
from collections import Counter
from typing import Any, List, Tuple

from ..label_file import Labels
from .names import as_in_image_list
from .tables import IMAGE_FIELDS, TAG_FIELDS, add_tags, read_utf8, split_tags


def read_json(path: str) -> Tuple[None, Labels]:
    """Read the tags in a JSON file.

    Args:
        path (str): The file, in one of the forms that stand at the top of
            this module.

    Returns:
        tuple: None, and the tags of each image.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no JSON, has another form, or a key twice in an
            object.
    """
    text = read_utf8(path)
    try:
        content = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError(f'{path}: nested too deep for a file of tags. Write '
                         '{"a.jpg": ["cat", "dog"]}.') from None
    except ValueError as error:
        raise ValueError(f'{path}: {error}. Correct the file.') from error
    labels = {}
    if isinstance(content, dict):
        if {'images', 'annotations', 'categories'} <= set(content):
            raise ValueError(f'{path}: has images, annotations and '
                             'categories as COCO: read it with --from coco.')
        for name, tags in content.items():
            labels[name] = tuple(_tags(f'{path}: {name!r}', tags))
    elif isinstance(content, list):
        for number, record in enumerate(content, 1):
            where = f'{path}: record {number}'
            if not isinstance(record, dict):
                raise ValueError(f'{where}: found {_kind(record)}, expected '
                                 '{"image": "a.jpg", "tags": ["cat"]}.')
            name = record[_field(where, record, IMAGE_FIELDS)]
            if not isinstance(name, str):
                raise ValueError(f'{where}: found {_kind(name)} as the name '
                                 'of an image, expected a string.')
            tags = record[_field(where, record, TAG_FIELDS)]
            add_tags(labels, name, _tags(where, tags))
    else:
        raise ValueError(f'{path}: found {_kind(content)}, expected '
                         '{"a.jpg": ["cat", "dog"]}.')
    return None, as_in_image_list(path, labels)


def _object(pairs: List[tuple]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        (twice, _), = counts.most_common(1)
        raise ValueError(f'the key {twice!r} stands twice in an object')
    return content


def _field(where: str, record: dict, names: Tuple[str, ...]) -> str:
    """The one key of the record that is among the names."""
    found = [key for key in record if key.lower() in names]
    if len(found) != 1:
        raise ValueError(f'{where}: found {" and ".join(found) or "none"} of '
                         f'the fields {", ".join(names)}, expected one.')
    return found[0]


def _tags(where: str, value: Any) -> List[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return split_tags(where, value)
    if not isinstance(value, list):
        raise ValueError(f'{where}: found {_kind(value)}, expected a list of '
                         'tags: ["cat", "dog"].')
    for tag in value:
        if not isinstance(tag, str):
            raise ValueError(f'{where}: found {_kind(tag)} as a tag, expected '
                             'the name of a class.')
    return [tag.strip() for tag in value]


def _kind(value: Any) -> str:
    # Not the value itself: it can be as large as the file.
    return {
        dict: 'an object',
        list: 'a list',
        str: 'a string',
        int: 'a number',
        float: 'a number'
    }.get(type(value), json.dumps(value))
