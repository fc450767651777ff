# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Image lists, and label files with the tags of images.

A label file is plain text. The first line lists the foreground classes, in
the order of their ids 1..C in the masks. Each further line has the name of an
image and its tags; an image without objects has none::

    # cat,cow,dog
    2007_000063: dog
    2007_000464: cow, dog
    2007_000999:
"""
import difflib
import posixpath
import re
from typing import (Any, Callable, Dict, Iterable, List, Mapping, Optional,
                    Sequence, Tuple)

from ..utils import UserError, replacing
from .image_files import (DataError, format_names, normalize_nfc, read_text,
                          strip_image_suffix)

MAKE_LABEL_FILE = 'python tools/dataset_converters/image_labels.py'

Tags = Tuple[str, ...]


def normalize_name(where: str, name: str) -> str:
    """Convert an image's name to NFC, with '/' and without './'.

    Raises:
        UserError: If the name leads out of the data set's folder, or cannot
            stand on a line of UTF-8.
    """
    clean = posixpath.normpath(normalize_nfc(name.strip()).replace('\\', '/'))
    if clean.split('/')[0] in ('', '..'):
        raise UserError(
            f'{where}: {name!r} leads out of the folder of the data set. '
            "Name images by their path in it, without '..'.")
    if clean == '.' or re.search('[\r\n\ud800-\udfff]', clean):
        raise UserError(f'{where}: {name!r} cannot be the name of an image. '
                        'Rename the image, in one line of UTF-8.')
    return clean


def index_by_stem(where: str, labels: Mapping[str, Any]) -> Dict[str, Any]:
    """Add the names without suffix: an image is found by either name.

    Raises:
        DataError: If labels of one name without suffix differ.
    """
    index, problems = dict(labels), []
    for name, tags in labels.items():
        stem = strip_image_suffix(name)
        if index.setdefault(stem, tags) != tags:
            problems.append(
                f'{where}: {name!r} has {tags}, but {stem!r}, with another '
                f'suffix or none, has {index[stem]}. Remove one of the lines, '
                'or rename one of the images.')
    if problems:
        raise DataError(problems, index)
    return index


def read_image_list(path: str,
                    backend_args: Optional[dict] = None) -> List[str]:
    """Read a file with an image's name, with or without suffix, on each line.

    Raises:
        DataError: If the file names no image, one twice, or one that lies
            outside of the data set's folder.
    """
    text = read_text(
        path, 'no such image list. Correct data_root or ann_file, or write '
        'the list: the name of an image, without suffix, on each line.',
        backend_args)
    names, _, problems = _parse_lines(
        path, text, lambda where, line: (normalize_name(where, line), None))
    if not names:
        problems.append(f'{path}: names no image. Write the name of an image, '
                        'without suffix, on each line.')
    if problems:
        raise DataError(problems, list(names))
    return list(names)


def write_image_list(path: str, names: Iterable[str]) -> None:
    """Write an image list, all of it or nothing."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(''.join(f'{name}\n' for name in names).encode())


def read_classes(path: str,
                 backend_args: Optional[dict] = None) -> Optional[Tags]:
    """Read the classes on the first line of a label file, None without.

    Raises:
        UserError: If the file is missing, or a class cannot be used.
    """
    first = read_text(path, 'no such label file.', backend_args)
    first = first.partition('\n')[0]
    if not first.startswith('#'):
        return None
    return check_classes(f'{path}:1', first[1:].split(','))


def read_label_file(
    path: str,
    known_classes: Optional[Sequence[str]] = None,
    backend_args: Optional[dict] = None
) -> Tuple[Optional[Tags], Dict[str, Tags]]:
    """Read a label file.

    Args:
        path (str): The file, UTF-8.
        known_classes (Sequence[str], optional): The tags that may occur.
            Defaults to the classes of the first line; without these, any tag
            may occur.
        backend_args (dict, optional): See :func:`mmengine.fileio.get`.

    Returns:
        tuple: The classes of the first line, or None if it lists none; and
        the tags of each image, a dict in the order of the file.

    Raises:
        DataError: If a line cannot be read, repeats an image, or has an
            unknown tag. Each problem starts with file and line.
    """
    text = read_text(
        path, 'no such label file. For data in the layout of VOC run '
        f'`{MAKE_LABEL_FILE} DATA_ROOT`; docs/label_file.md shows how to '
        'write the file for other data.', backend_args)
    classes, problems = None, []
    first, _, others = text.partition('\n')
    if first.startswith('#'):
        text = '\n' + others
        try:
            classes = check_classes(f'{path}:1', first[1:].split(','))
        except UserError as error:
            problems.append(str(error))
    labels, line_of, wrong = _parse_lines(path, text, _parse_tags)
    problems += wrong
    for message, name in unknown_tags(labels, known_classes or classes):
        problems.append(f'{path}:{line_of[name]}: {message}')
    if problems:
        raise DataError(problems, (classes, labels))
    return classes, labels


def write_label_file(path: str,
                     classes: Iterable[str],
                     labels: Mapping[str, Iterable[str]],
                     source: Optional[str] = None) -> None:
    """Write a label file, all of it or nothing.

    Args:
        path (str): The file, which is overwritten.
        classes (Iterable[str]): The foreground classes, id 1 first.
        labels (Mapping[str, Iterable[str]]): The tags of each image, by its
            name without suffix. Names are normalised, and tags are written
            in the order of the classes.
        source (str, optional): The file that errors name, where `labels` were
            read from another one.

    Raises:
        UserError: If a class, a name or a tag cannot be written.
    """
    where = source or path
    classes = check_classes(where, classes)
    labels = merge_labels(where, labels)
    unknown = unknown_tags(labels, classes)
    if unknown:
        raise DataError([f'{where}: {message}' for message, _ in unknown])
    lines = ['# ' + ','.join(classes)]
    for name, tags in labels.items():
        ordered = [one for one in classes if one in tags]
        lines.append(f'{name}: {", ".join(ordered)}'.rstrip())
    with replacing(path) as unfinished:
        unfinished.write_bytes(('\n'.join(lines) + '\n').encode())


def merge_labels(where: str,
                 labels: Mapping[str, Iterable[str]]) -> Dict[str, List[str]]:
    """Collect the tags of each image under its normalised name."""
    merged = {}
    for name, tags in labels.items():
        merged.setdefault(normalize_name(where, name),
                          []).extend(map(normalize_nfc, tags))
    return merged


def check_classes(where: str, names: Iterable[str]) -> Tags:
    """Normalise the names of foreground classes; refuse those unfit to write.

    Raises:
        UserError: If a name is empty, repeated or reserved, or holds a comma,
            a colon or a line break.
    """
    classes = tuple(normalize_nfc(name.strip()) for name in names)
    if 'background' in classes:
        raise UserError(f"{where}: leave out 'background'. It has no tags, "
                        'and the first class listed has id 1.')
    for name in classes or ('', ):
        if not name or set(name) & set(',:\r\n'):
            raise UserError(
                f'{where}: {name!r} cannot be the name of a class. List the '
                'foreground classes as cat,cow,dog, without colons in them.')
        if classes.count(name) > 1:
            raise UserError(f'{where}: a class is listed twice: {name!r}.')
    return classes


def unknown_tags(labels: Mapping[str, Iterable[str]],
                 classes: Optional[Sequence[str]]) -> List[Tuple[str, str]]:
    """Find the tags that are not classes, the most frequent first.

    Returns:
        list[tuple[str]]: A message about each unknown tag, and the first
        image that has the tag. Empty without classes.
    """
    known, images = set(classes or ()), {}
    for name, tags in labels.items() if classes else ():
        for tag in tags:
            if tag not in known:
                images.setdefault(tag, []).append(name)
    return [(f'{explain_unknown(tag, classes)} Images: {format_names(names)}.',
             names[0]) for tag, names in sorted(
                 images.items(), key=lambda item: -len(item[1]))]


def explain_unknown(tag: str, classes: Sequence[str]) -> str:
    """Say that a tag is unknown, and which class may be meant."""
    # Compared in lower case: 'Cat' is as near to 'cat' as can be.
    lower = {name.lower(): name for name in classes}
    nearest = difflib.get_close_matches(tag.lower(), lower, n=1)
    hint = (f'did you mean {lower[nearest[0]]!r}?'
            if nearest else f'the classes are {", ".join(classes)}.')
    return f'unknown tag {tag!r}: {hint} Fix the tag, or add it as a class.'


def _parse_lines(path: str, text: str, parse: Callable) -> Tuple[dict, ...]:
    """Parse each line to a name and a value.

    Returns:
        tuple: The values by name, the line numbers by name, the problems.
    """
    values, line_of, problems = {}, {}, []
    for number, line in enumerate(text.split('\n'), 1):
        try:
            if line.strip():
                name, value = parse(f'{path}:{number}', line)
                if name in values:
                    raise UserError(
                        f'{path}:{number}: {name!r} stands in line '
                        f'{line_of[name]} already. Remove one of the lines.')
                values[name], line_of[name] = value, number
        except UserError as error:
            problems.append(str(error))
    return values, line_of, problems


def _parse_tags(where: str, line: str) -> Tuple[str, Tags]:
    # The last colon: names of images may hold colons, those of classes not.
    name, _, tags = line.rpartition(':')
    if not name.strip():
        raise UserError(f'{where}: found {line!r}, expected "name: tag, tag" '
                        'or, for an image without objects, "name:".')
    return name.strip(), tuple(filter(None, map(str.strip, tags.split(','))))
