# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Image lists: which images a split has, and whether they are there."""
import os.path as osp
import unicodedata
from pathlib import PurePosixPath
from typing import Any, Dict, List, Mapping, Optional, Sequence, TypeVar

from mmengine import fileio

T = TypeVar('T')

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp',
                  '.ppm', '.pgm')
MOST_PROBLEMS = 10  # that an error spells out


class DataError(ValueError):
    """All that is wrong with a file or folder, not only the first of it.

    Args:
        problems (list[str]): A message for each.
        rest: What could be read nevertheless.
    """

    def __init__(self, problems: List[str], rest: Any) -> None:
        lines = problems[:MOST_PROBLEMS]
        if len(problems) > MOST_PROBLEMS:
            lines.append(f'... ({len(problems)} problems in all)')
        super().__init__('\n'.join(lines))
        self.problems, self.rest = problems, rest


def read_text(path: str,
              missing: str,
              backend_args: Optional[dict] = None) -> str:
    """Read a text file in UTF-8.

    Args:
        path (str): The file.
        missing (str): The message if it is not there, without the path.
        backend_args (dict, optional): Where the file is kept, see
            :func:`mmengine.fileio.get_text`.
    """
    try:
        return fileio.get_text(
            path, encoding='utf-8-sig', backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: {missing}') from error
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: not a text file in UTF-8 ({error}): save '
                         'it as UTF-8.') from error


def strip_image_suffix(name: str) -> str:
    """Take the suffix of an image off a name or path, and leave any other.

    Returns:
        str: 'a' for 'a.jpg' and 'a.JPEG'; 'a.b' for 'a.b'.
    """
    stem, suffix = osp.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def composed(name: str) -> str:
    """A name with its accented letters as one character each (Unicode's NFC).

    File systems of macOS keep accents apart from their letters, and keyboards
    write both as one: names that look the same differ without this.
    """
    return unicodedata.normalize('NFC', name)


def by_stem(where: str, values: Mapping[str, T]) -> Dict[str, T]:
    """What is known of images, under their names without suffix as well.

    The names are :func:`composed`; so must be those looked up.

    Args:
        where (str): The file that it comes from, for the message.
        values (Mapping[str, T]): Under names with suffix or without.

    Returns:
        dict[str, T]: The values under both names.

    Raises:
        DataError: If two names differ in nothing but the suffix or the form
            of their accents, and their values differ, too.
    """
    first, problems = {}, []
    for name, value in values.items():
        other = first.setdefault(composed(strip_image_suffix(name)), name)
        if values[other] != value:
            problems.append(
                f'{where}: {other!r} and {name!r} differ only in their suffix '
                'or in how accents are encoded, and have '
                f'{values[other]} and {value}: remove one of the lines, or '
                'rename one of the images.')
    both = {stem: values[name] for stem, name in first.items()}
    both.update((composed(name), value) for name, value in values.items())
    if problems:
        raise DataError(problems, both)
    return both


def first_few(names: Sequence[str], count: int = 3) -> str:
    """Write out the first few names: ``"'a', 'b', 'c', ... (12 in all)"``."""
    text = ', '.join(map(repr, names[:count]))
    return text + (f', ... ({len(names)} in all)' * (len(names) > count))


def check_name(where: str, name: str) -> None:
    """Refuse a name that leads out of the folder it is joined to.

    Args:
        where (str): File and line, for the message.
        name (str): The name of an image, with '/' between folders.

    Raises:
        ValueError: If it is an absolute path or has '..' in it.
    """
    parts = PurePosixPath(name.replace('\\', '/'))
    if parts.is_absolute() or '..' in parts.parts:
        raise ValueError(
            f'{where}: {name!r} leads out of the folder of the data set: '
            "name images by their path in it, without '..'.")


def read_image_list(path: str,
                    backend_args: Optional[dict] = None) -> List[str]:
    """Read a file that names an image on each line, with suffix or without.

    Args:
        path (str): The file.
        backend_args (dict, optional): Where the file is kept.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not in UTF-8, or, as a DataError, if it names no
            image, or one twice, or one outside the folder of images.
    """
    text = read_text(
        path, 'no such image list. Correct data_root or ann_file, or write '
        'the list: the name of an image, without suffix, on each line.',
        backend_args)
    line_of, problems = {}, []
    for number, name in enumerate(map(str.strip, text.split('\n')), 1):
        if not name:
            continue
        where = f'{path}:{number}'
        try:
            check_name(where, name)
            if line_of.setdefault(name, number) != number:
                raise ValueError(
                    f'{where}: {name!r} stands in line {line_of[name]} '
                    'already: remove one of the two lines.')
        except ValueError as error:
            problems.append(str(error))
    if not line_of:
        problems.append(f'{path}: names no image. Write the name of an image, '
                        'without suffix, on each line.')
    if problems:
        raise DataError(problems, list(line_of))
    return list(line_of)


def find_images(folder: str,
                suffixes: Sequence[str],
                backend_args: Optional[dict] = None) -> List[str]:
    """List the images of a folder and the folders in it.

    Args:
        folder (str): The folder.
        suffixes (Sequence[str]): How the names of the images may end, in
            small or capital letters.
        backend_args (dict, optional): Where the folder is kept.

    Returns:
        list[str]: Their paths in the folder, without suffix, sorted.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
    """
    images = _images(folder, suffixes, backend_args)
    if not images:
        raise FileNotFoundError(
            f'{folder}: no such folder, or no file *{" *".join(suffixes)} in '
            'it. Correct data_root, data_prefix or the suffix, or give an '
            'ann_file.')
    return sorted(_stem(files[0], suffixes) for files in images.values())


def find_files(folder: str,
               names: Sequence[str],
               suffixes: Sequence[str],
               backend_args: Optional[dict] = None) -> Dict[str, str]:
    """Find the files of images.

    Args:
        folder (str): The folder of the images.
        names (Sequence[str]): Their paths in it, with suffix or without. The
            form of their accents may differ from that of the files.
        suffixes (Sequence[str]): As for :func:`find_images`.
        backend_args (dict, optional): Where the folder is kept.

    Returns:
        dict[str, str]: The name without suffix, as its file has it, and the
        path of each image, in the order given. Where there is no such file
        the path ends with the first of the suffixes.

    Raises:
        DataError: If several files differ in nothing but the suffix or the
            form of their accents from an image of the list, or it is listed
            twice, with and without them.
    """
    images = _images(folder, suffixes, backend_args)
    paths, problems = {}, []
    for name in names:
        files = images.get(composed(name)) or images.get(
            composed(strip_image_suffix(name)), [name + suffixes[0]])
        stem = _stem(files[0], suffixes)
        if len(files) > 1:
            differing = ' and '.join(
                repr(osp.basename(file)) for file in sorted(files))
            problems.append(
                f'{osp.dirname(osp.join(folder, files[0]))}: {differing} '
                'differ only in their suffix, which image lists leave out, '
                'or in how accents are encoded: rename one of them.')
        elif stem in paths:
            problems.append(
                f'{folder}: {stem!r} is listed twice, with and without suffix '
                'or with accents encoded in two ways: remove one of the '
                'lines.')
        else:
            paths[stem] = osp.join(folder, files[0])
    if problems:
        raise DataError(problems, paths)
    return paths


def _images(folder, suffixes, backend_args):
    """The image files in a folder, by their composed names without suffix."""
    images = {}
    if fileio.isdir(folder, backend_args=backend_args):
        for file in fileio.list_dir_or_file(
                folder, list_dir=False, recursive=True,
                backend_args=backend_args):
            stem = _stem(file, suffixes)
            if stem:
                images.setdefault(composed(stem), []).append(file)
    return images


def _stem(file, suffixes):
    """A file's name without the suffix; None if it has none of these."""
    for suffix in suffixes:
        if file.lower().endswith(suffix.lower()):
            return file[:len(file) - len(suffix)]
    return None


def find_missing(paths: Sequence[str],
                 backend_args: Optional[dict] = None) -> List[str]:
    """Find the files that are not there.

    Each folder is listed once: to ask for each file can take minutes on
    network storage.

    Args:
        paths (Sequence[str]): The files.
        backend_args (dict, optional): Where they are kept.

    Returns:
        list[str]: Those that are missing, in the order given.
    """
    there = set()
    for folder in {osp.dirname(path) for path in paths}:
        if fileio.isdir(folder or '.', backend_args=backend_args):
            there.update(
                osp.join(folder, name) for name in fileio.list_dir_or_file(
                    folder or '.', list_dir=False, backend_args=backend_args))
    return [path for path in paths if path not in there]
