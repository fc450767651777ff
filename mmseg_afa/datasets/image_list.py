# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Image lists: which images a split has, and whether they are there."""
import os.path as osp
import unicodedata
from pathlib import PurePosixPath
from typing import (Any, Dict, Iterable, List, Mapping, Optional, Sequence,
                    TypeVar)

from mmengine import fileio

from ..utils import replacing

T = TypeVar('T')

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp',
                  '.ppm', '.pgm')
MOST_PROBLEMS = 10  # that an error spells out


class DataError(ValueError):
    """All that is wrong with a file, and the rest that can be used."""

    def __init__(self, problems: List[str], rest: Any) -> None:
        lines = problems[:MOST_PROBLEMS]
        if len(problems) > MOST_PROBLEMS:
            lines.append(f'... ({len(problems)} problems in all)')
        super().__init__('\n'.join(lines))
        self.problems, self.rest = problems, rest


def read_text(path: str,
              missing: str,
              backend_args: Optional[dict] = None) -> str:
    """Read a text file in UTF-8 if it is there, or else raise `missing`."""
    try:
        return fileio.get_text(
            path, encoding='utf-8-sig', backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: {missing}') from error
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: not a text file in UTF-8 ({error}): save '
                         'it as UTF-8.') from error


def strip_image_suffix(name: str) -> str:
    """Take the suffix of an image off a name: 'a.JPEG' is 'a', 'a.b' stays."""
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

    The names are :func:`composed`; so must be those looked up. Names with
    different values must differ in more than suffix and form of accents.
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
    """Refuse a name that leads out of the folder it is joined to."""
    parts = PurePosixPath(name.replace('\\', '/'))
    if parts.is_absolute() or '..' in parts.parts:
        raise ValueError(
            f'{where}: {name!r} leads out of the folder of the data set: '
            "name images by their path in it, without '..'.")


def read_image_list(path: str,
                    backend_args: Optional[dict] = None) -> List[str]:
    """Read a file that names an image on each line, with suffix or without.

    Raises:
        DataError: If it names no image, or one twice, or one outside the
            folder of images.
    """
    text = read_text(
        path, 'no such image list. Correct data_root or ann_file, or write '
        'the list: the name of an image, without suffix, on each line.',
        backend_args)
    line_of, problems = {}, []
    for number, name in enumerate(map(str.strip, text.split('\n')), 1):
        if not name:
            continue
        try:
            check_name(f'{path}:{number}', name)
        except ValueError as error:
            problems.append(str(error))
            continue
        if line_of.setdefault(name, number) != number:
            problems.append(
                f'{path}:{number}: {name!r} stands in line {line_of[name]} '
                'already: remove one of the two lines.')
    if not line_of:
        problems.append(f'{path}: names no image. Write the name of an image, '
                        'without suffix, on each line.')
    if problems:
        raise DataError(problems, list(line_of))
    return list(line_of)


def write_image_list(path: str, names: Iterable[str]) -> None:
    """Write an image list, all of it or nothing."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(''.join(f'{name}\n' for name in names).encode())


def find_images(folder: str,
                suffixes: Sequence[str],
                backend_args: Optional[dict] = None) -> List[str]:
    """List the images of a folder and the folders in it.

    Returns:
        list[str]: Their paths in the folder, without suffix, sorted.
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
        suffixes (Sequence[str]): How the files may end, in small or capital
            letters.

    Returns:
        dict[str, str]: The name without suffix, as its file has it, and the
        path of each image, in the order given. Where there is no such file
        the path ends with the first of the suffixes.

    Raises:
        DataError: If several files are an image of the list but for their
            suffix or the form of their accents.
    """
    images = _images(folder, suffixes, backend_args)
    paths, problems = {}, []
    for name in names:
        files = images.get(composed(name)) or images.get(
            composed(strip_image_suffix(name)), [name + suffixes[0]])
        if len(files) > 1:
            differing = ' and '.join(
                repr(osp.basename(file)) for file in sorted(files))
            problems.append(
                f'{osp.dirname(osp.join(folder, files[0]))}: {differing} '
                'differ only in their suffix, which image lists leave out, '
                'or in how accents are encoded: rename one of them.')
        else:
            paths[_stem(files[0], suffixes)] = osp.join(folder, files[0])
    if problems:
        raise DataError(problems, paths)
    return paths


def _images(folder, suffixes, backend_args):
    """The image files in a folder, by their composed names without suffix."""
    images = {}
    for file in _files(folder, backend_args, recursive=True):
        stem = _stem(file, suffixes)
        if stem:
            images.setdefault(composed(stem), []).append(file)
    return images


def _files(folder, backend_args, recursive=False):
    """The files in a folder, as paths in it; none if there is no folder."""
    if not fileio.isdir(folder or '.', backend_args=backend_args):
        return ()
    return fileio.list_dir_or_file(
        folder or '.',
        list_dir=False,
        recursive=recursive,
        backend_args=backend_args)


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
    """
    there = {
        osp.join(folder, name)
        for folder in {osp.dirname(path)
                       for path in paths}
        for name in _files(folder, backend_args)
    }
    return [path for path in paths if path not in there]
