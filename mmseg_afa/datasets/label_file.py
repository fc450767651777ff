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
from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..utils import UserError, replacing
from .image_files import (IMAGE_SUFFIXES, DataError, format_names,
                          normalize_nfc, read_text, strip_image_suffix)

MAKE_LABEL_FILE = 'python tools/dataset_converters/image_labels.py'

Tags = Tuple[str, ...]

CONTROL = re.compile('[\x00-\x1f\x7f]')  # such as line ends
_SUFFIX = f'(?:{"|".join(map(re.escape, IMAGE_SUFFIXES))})'
# a photo and its mask
TWO_PATHS = re.compile(rf'(.+?{_SUFFIX})\s+(\S*/.+{_SUFFIX})', re.IGNORECASE)


def normalize_name(name: str) -> str:
    """Convert an image's name to NFC, with '/' and without './'."""
    return posixpath.normpath(normalize_nfc(name.strip()).replace('\\', '/'))


def index_by_stem(labels: Mapping[str, Tags]) -> Dict[str, Tags]:
    """Add the names without suffix: an image is found by either name."""
    stems = {strip_image_suffix(name): tags for name, tags in labels.items()}
    return {**stems, **labels}


def read_image_list(path: str,
                    backend_args: Optional[dict] = None) -> List[str]:
    """Read a file with an image's name, with or without suffix, on each line.

    A line may also have the paths of an image and its mask.

    Returns:
        list[str]: The names. Repeated names count once.

    Raises:
        UserError: If the file is missing, or names no image.
    """
    text = read_text(
        path, 'no such image list. Correct its path (--list, or data_root '
        'and ann_file of the config), or write the list: the name of an '
        'image, without suffix, on each line.', backend_args)
    names = [name_in_line(line) for line in text.split('\n') if line.strip()]
    if not names:
        raise UserError(f'{path}: names no image. Write the name of an image, '
                        'without suffix, on each line.')
    return list(dict.fromkeys(names))


def name_in_line(line: str) -> str:
    """Return an image's name; of two paths, what both of them end with.

    '/JPEGImages/train/a.jpg /SegmentationClass/train/a.png' is 'train/a'.
    """
    paths = TWO_PATHS.fullmatch(line.strip())
    if not paths:
        return normalize_name(line)
    parts = [
        strip_image_suffix(normalize_name(path)).split('/')[::-1]
        for path in paths.groups()
    ]
    shared = posixpath.commonprefix(parts)[::-1]
    return '/'.join(shared) or normalize_name(paths[1])


def write_image_list(path: str, names: Iterable[str]) -> None:
    """Write an image list, all of it or nothing."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(''.join(f'{name}\n' for name in names).encode())


def read_classes(path: str) -> Optional[Tags]:
    """Read the classes of a label file, None if it lists none."""
    return _classes_of(path, _read_lines(path)[0])


def _read_lines(path: str, backend_args: Optional[dict] = None) -> List[str]:
    return read_text(
        path, 'no such label file. For data in the layout of VOC run '
        f'`{MAKE_LABEL_FILE} DATA_ROOT`; docs/label_file.md shows how to '
        'write the file for other data.', backend_args).split('\n')


def _classes_of(path: str, first_line: str) -> Optional[Tags]:
    if not first_line.startswith('#'):
        return None
    return check_classes(f'{path}:1', first_line[1:].split(','))


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
        UserError: If the file is missing, or a class cannot be used.
        DataError: If a line cannot be read, repeats an image, or has an
            unknown tag. Each problem starts with file and line.
    """
    lines = _read_lines(path, backend_args)
    labels, line_of, name_of, problems = {}, {}, {}, []
    classes = _classes_of(path, lines[0])
    if classes:
        lines[0] = ''
    for number, line in enumerate(lines, 1):
        # Names of images may hold colons, those of classes may not.
        name, _, tags = line.rpartition(':')
        name = name.strip()
        tags = tuple(filter(None, map(str.strip, tags.split(','))))
        other = name_of.setdefault(strip_image_suffix(name), name)
        if name in labels:
            problems.append(f'{path}:{number}: {name!r} stands in line '
                            f'{line_of[name]} already. Remove one of them.')
        elif name and other != name and set(labels[other]) != set(tags):
            problems.append(
                f'{path}:{number}: {name!r} has other tags than {other!r} in '
                f'line {line_of[other]}: both are one image. Remove a line.')
        elif name:
            labels[name] = tags
            line_of[name] = number
        elif line.strip():
            problems.append(
                f'{path}:{number}: found {line!r}, expected "name: tag, tag" '
                'or, for an image that shows none of the classes, "name:".')
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
        UserError: If a class cannot be used, or a tag is unknown.
    """
    where = source or path
    classes = check_classes(where, classes)
    labels = {
        normalize_name(name): [normalize_nfc(tag) for tag in tags]
        for name, tags in labels.items()
    }
    unknown = unknown_tags(labels, classes)
    if unknown:
        raise DataError([f'{where}: {message}' for message, _ in unknown])
    broken = list(filter(CONTROL.search, labels))
    if broken:
        raise DataError([
            f'{where}: control characters, such as a line end, '
            f'in the names {format_names(broken)}. Remove them.'
        ])
    lines = ['# ' + ','.join(classes)]
    for name, tags in labels.items():
        ordered = [one for one in classes if one in tags]
        lines.append(f'{name}: {", ".join(ordered)}'.rstrip())
    with replacing(path) as unfinished:
        unfinished.write_bytes(('\n'.join(lines) + '\n').encode())


def check_classes(where: str, names: Iterable[str]) -> Tags:
    """Normalise the names of foreground classes, and check them."""
    classes = tuple(normalize_nfc(name.strip()) for name in names)
    for name in classes or ('', ):
        if (name in ('', 'background') or set(name) & set(',:')
                or CONTROL.search(name) or classes.count(name) > 1):
            raise UserError(
                f'{where}: the class {name!r} is empty, reserved or listed '
                "twice, or holds ',', ':' or a line end. List the foreground "
                "classes as cat,cow,dog, without 'background'.")
    return classes


def unknown_tags(labels: Mapping[str, Iterable[str]],
                 classes: Optional[Sequence[str]]) -> List[Tuple[str, str]]:
    """Find the tags that are not classes.

    Returns:
        list[tuple[str]]: A message about each unknown tag, and the first
        image that has the tag. Empty without classes.
    """
    if not classes:
        return []
    images = {}
    for name, tags in labels.items():
        for tag in tags:
            if tag not in classes:
                images.setdefault(tag, []).append(name)
    # Compared in lower case: 'Cat' is as near to 'cat' as can be.
    lower = {name.lower(): name for name in classes}
    found = []
    for tag, names in images.items():
        nearest = difflib.get_close_matches(tag.lower(), lower, n=1)
        hint = (f'did you mean {lower[nearest[0]]!r}?'
                if nearest else f'the classes are {", ".join(classes)}.')
        found.append((f'unknown tag {tag!r}: {hint} Fix the tag, or add it as '
                      f'a class. Images: {format_names(names)}.', names[0]))
    return found
