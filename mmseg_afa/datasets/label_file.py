# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The label file: the tags of each image, as plain text.

The first line lists the foreground classes, in the order of their ids 1..C in
the masks. Each further line gives the name of an image, as it stands in the
image list, and its tags; an image without objects has none::

    # cat,cow,dog
    2007_000063: dog
    2007_000464: cow, dog
    2007_000999:
"""
import difflib
import re
from collections import Counter
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..utils import replacing
from .image_list import DataError, first_few, read_text

MAKE_LABEL_FILE = 'python tools/dataset_converters/image_labels.py'

MOST_UNKNOWN = 20  # unknown tags that a message spells out

Labels = Dict[str, Tuple[str, ...]]


def read_label_file(
    path: str,
    known_classes: Optional[Sequence[str]] = None,
    backend_args: Optional[dict] = None
) -> Tuple[Optional[Tuple[str, ...]], Labels]:
    """Read a label file.

    Args:
        path (str): The file, UTF-8.
        known_classes (Sequence[str], optional): The tags that may occur.
            Defaults to the classes of the first line; where there is no such
            line either, any tag may occur.
        backend_args (dict, optional): See :func:`mmengine.fileio.get_text`.

    Returns:
        tuple: The classes of the first line, or None if it lists none; and
        the tags of each image, a dict in the order of the file.

    Raises:
        DataError: If a line cannot be read, names an image again, or has a
            tag that is no class. Each problem starts with file and line.
    """
    return _parse(path, _read(path, backend_args), known_classes)


def read_classes(
        path: str,
        backend_args: Optional[dict] = None) -> Optional[Tuple[str, ...]]:
    """Read the classes of a label file's first line; None if it has none."""
    return _parse_classes(path, _lines(_read(path, backend_args))[0])


def write_label_file(path: str, classes: Sequence[str],
                     labels: Mapping[str, Sequence[str]]) -> None:
    """Write a label file, all of it or nothing.

    Args:
        path (str): The file; one that exists is replaced.
        classes (Sequence[str]): The foreground classes, id 1 first.
        labels (Mapping[str, Sequence[str]]): The tags of each image, written
            in this order.

    Raises:
        ValueError: If a tag is no class, or the file could not be read back.
    """
    lines = ['# ' + ','.join(classes)]
    lines += [
        f'{name}: {", ".join(tags)}'.rstrip() for name, tags in labels.items()
    ]
    text = '\n'.join(lines) + '\n'
    wanted = tuple(classes), {n: tuple(tags) for n, tags in labels.items()}
    if _parse(path, text) != wanted:
        raise ValueError(
            f'{path}: a name of an image or class cannot be written: remove '
            'line breaks, spaces at the ends, and commas and colons in names '
            'of classes.')
    with replacing(path) as unfinished:
        unfinished.write_bytes(text.encode())


def _read(path, backend_args):
    return read_text(
        path, 'no such label file. For data in the layout of VOC make it by '
        f'`{MAKE_LABEL_FILE} DATA_ROOT`; docs/datasets.md shows how to write '
        'it for other data.', backend_args)


def _lines(text):
    # Not str.splitlines: names may hold the rarer line separators of Unicode.
    return re.split(r'\r\n?|\n', text)


def _parse(path, text, known=None):
    classes, labels, line_of, problems = None, {}, {}, []
    for number, line in enumerate(_lines(text), 1):
        try:
            if number == 1 and line.startswith('#'):
                classes = _parse_classes(path, line)
            elif line.strip():
                where = f'{path}:{number}'
                name, tags = _parse_image(where, line)
                if name in labels:
                    raise ValueError(
                        f'{where}: {name!r} stands in line {line_of[name]} '
                        'already: keep one of the two lines.')
                labels[name], line_of[name] = tags, number
        except ValueError as error:
            problems.append(str(error))
    known = known or classes
    unknown = unknown_tags(labels, known) if known else {}
    if unknown:
        first = next(iter(unknown.values()))[0]
        problems.append(f'{path}:{line_of[first]}: '
                        f'{explain_all_unknown(unknown, known)}')
    if problems:
        raise DataError(problems, (classes, labels))
    return classes, labels


def _parse_classes(path, line):
    if not line.startswith('#'):
        return None
    classes = tuple(name.strip() for name in line[1:].split(','))
    if '' in classes:
        raise ValueError(f'{path}:1: found {line!r}, expected the names of '
                         'the foreground classes: "# cat,cow,dog".')
    check_classes(f'{path}:1', classes)
    return classes


def check_classes(where: str, classes: Sequence[str]) -> None:
    """Refuse classes that a label file cannot list."""
    if 'background' in classes:
        raise ValueError(f"{where}: leave out 'background': it has no tags, "
                         'and the first class listed has id 1.')
    for name, count in Counter(classes).items():
        if count > 1:
            raise ValueError(f'{where}: a class is listed twice: {name!r}.')
        if not name or name != name.strip() or set(name) & set(',:\r\n'):
            raise ValueError(
                f'{where}: {name!r} cannot be the name of a class: remove '
                'commas, colons, line breaks, and spaces at the ends.')


def _parse_image(where, line):
    # The last colon: names of images may hold colons, those of classes not.
    name, colon, tags = line.rpartition(':')
    name = name.strip()
    if not colon or not name:
        raise ValueError(f'{where}: found {line!r}, expected "name: tag, tag" '
                         'or, for an image without objects, "name:".')
    tags = tuple(map(str.strip, tags.split(','))) if tags.strip() else ()
    if '' in tags:
        raise ValueError(f'{where}: an empty tag in {line!r}: remove the '
                         'comma that is too many.')
    return name, tags


def unknown_tags(labels: Mapping[str, Sequence[str]],
                 classes: Sequence[str]) -> Dict[str, List[str]]:
    """Find the tags that are no class, and the images that have them."""
    unknown, known = {}, set(classes)
    for name, tags in labels.items():
        for tag in tags:
            if tag not in known:
                unknown.setdefault(tag, []).append(name)
    return unknown


def explain_all_unknown(unknown: Mapping[str, Sequence[str]],
                        classes: Sequence[str]) -> str:
    """Say which tags are no classes, where, and what may be meant."""
    if len(unknown) == 1:
        (tag, names), = unknown.items()
        return f'{explain_unknown(tag, classes)} Images: {first_few(names)}.'
    ranked = sorted(unknown.items(), key=lambda item: -len(item[1]))
    lines = [f'{len(unknown)} tags are no classes:']
    lines += [
        f'  {tag!r}: {_meant(tag, classes)}Images: {first_few(names)}'
        for tag, names in ranked[:MOST_UNKNOWN]
    ]
    if len(ranked) > MOST_UNKNOWN:
        lines.append(f'  ... ({len(ranked)} in all)')
    lines.append('Correct them, or add them to the classes, which are '
                 f'{", ".join(classes)}.')
    return '\n'.join(lines)


def explain_unknown(tag: str, classes: Sequence[str]) -> str:
    """Say that a tag is no class, and which class may be meant."""
    return (f'the tag {tag!r} is no class: {_meant(tag, classes)}Correct it, '
            f'or add it to the classes, which are {", ".join(classes)}.')


def _meant(tag, classes):
    # Compared without case: 'Cat' is as near to 'cat' as can be.
    lower = {name.lower(): name for name in classes}
    nearest = difflib.get_close_matches(tag.lower(), lower, n=1)
    return f'did you mean {lower[nearest[0]]!r}? ' if nearest else ''
