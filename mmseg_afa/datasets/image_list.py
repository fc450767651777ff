# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Image lists: which images a split has, and whether they are there."""
import os.path as osp
import unicodedata
from pathlib import PurePosixPath
from typing import Dict, List, Mapping, Optional, Sequence, TypeVar

from mmengine import fileio

from ..utils import collecting, needing_utf8

T = TypeVar('T')

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp',
                  '.ppm', '.pgm')


def strip_image_suffix(name: str) -> str:
    """Take the suffix of an image off a name, and leave any other.

    Args:
        name (str): The name or path of an image, with suffix or without.

    Returns:
        str: 'a' for 'a.jpg' and 'a.JPEG'; 'a.b' for 'a.b'.
    """
    stem, suffix = osp.splitext(name)
    return stem if suffix.lower() in IMAGE_SUFFIXES else name


def composed(name: str) -> str:
    """A name with its accented letters as one character each (Unicode's NFC).

    File systems of macOS keep accents apart from their letters, and keyboards
    write both as one: names that look the same differ without this.

    Args:
        name (str): The name or path of an image.
    """
    return unicodedata.normalize('NFC', name)


def by_stem(where: str,
            values: Mapping[str, T],
            errors: Optional[List[str]] = None) -> Dict[str, T]:
    """What is known of images, under their names without suffix as well.

    The names are :func:`composed`; so must be those looked up.

    Args:
        where (str): The file that it comes from, for the message.
        values (Mapping[str, T]): Under names with suffix or without.
        errors (list, optional): Takes all messages, in place of the
            ValueError of the first; the first of the values is kept.

    Returns:
        dict[str, T]: The values under both names.

    Raises:
        ValueError: If two names differ in nothing but the suffix or the form
            of their accents, and their values differ, too.
    """
    names: Dict[str, str] = {}
    for name, value in values.items():
        first = names.setdefault(composed(strip_image_suffix(name)), name)
        with collecting(errors):
            if values[first] != value:
                raise ValueError(
                    f'{where}: {first!r} and {name!r} differ only in their '
                    'suffix or in how accents are encoded, and have '
                    f'{values[first]} and {value}: remove one of the lines, '
                    'or rename one of the images.')
    whole = {composed(name): value for name, value in values.items()}
    return {**{stem: values[name] for stem, name in names.items()}, **whole}


def first_few(names: Sequence[str], count: int = 3) -> str:
    """Write out the first few names, for a message.

    Args:
        names (Sequence[str]): The names.
        count (int): How many to write out.

    Returns:
        str: For example ``"'a', 'b', 'c', ... (12 in all)"``.
    """
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
                    backend_args: Optional[dict] = None,
                    errors: Optional[List[str]] = None) -> List[str]:
    """Read a file that names an image on each line, without suffix.

    Args:
        path (str): The file. Blank lines are skipped.
        backend_args (dict, optional): Where the file is kept, see
            :func:`mmengine.fileio.get_text`.
        errors (list, optional): Takes the messages of all lines that are
            wrong, in place of the ValueError of the first; these lines are
            left out.

    Returns:
        list[str]: The names, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not in UTF-8, or names no image, or one twice,
            or one outside the folder of images.
    """
    try:
        with needing_utf8(path):
            text = fileio.get_text(
                path, encoding='utf-8-sig', backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'{path}: no such image list. Correct data_root or ann_file, or '
            'write the list: the name of an image, without suffix, on each '
            'line.') from error
    names, line_of = [], {}
    for number, line in enumerate(text.split('\n'), 1):
        name = line.strip()
        if not name:
            continue
        with collecting(errors):
            if name in line_of:
                raise ValueError(
                    f'{path}:{number}: {name!r} stands in line '
                    f'{line_of[name]} already: remove one of the two lines.')
            check_name(f'{path}:{number}', name)
            line_of[name] = number
            names.append(name)
    if not names:
        with collecting(errors):
            raise ValueError(f'{path}: names no image. Write the name of an '
                             'image, without suffix, on each line.')
    return names


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
    names = []
    if fileio.isdir(folder, backend_args=backend_args):
        files = fileio.list_dir_or_file(
            folder, list_dir=False, recursive=True, backend_args=backend_args)
        names = sorted(
            {_stem(file, suffixes)
             for file in files if _stem(file, suffixes)})
    if not names:
        raise FileNotFoundError(
            f'{folder}: no such folder, or no file *{" *".join(suffixes)} in '
            'it. Correct data_root, data_prefix or the suffix, or give an '
            'ann_file.')
    return names


def find_files(folder: str,
               names: Sequence[str],
               suffixes: Sequence[str],
               backend_args: Optional[dict] = None,
               errors: Optional[List[str]] = None) -> Dict[str, str]:
    """Find out how the files of images end.

    Each folder is listed once; see :func:`find_missing`.

    Args:
        folder (str): The folder of the images.
        names (Sequence[str]): Their paths in it, without suffix; one of an
            image that is not there without may have one. The form of their
            accents may differ from that of the files.
        suffixes (Sequence[str]): How the files may end, in small or capital
            letters.
        backend_args (dict, optional): Where the folder is kept.
        errors (list, optional): Takes all messages, in place of the
            ValueError of the first; these images are left out.

    Returns:
        dict[str, str]: The name without suffix, as its file has it, and the
        path of each image, in the order given. Where there is no such file
        the path ends with the first of the suffixes.

    Raises:
        ValueError: If several files differ in nothing but the suffix or the
            form of their accents from an image of the list, or it is listed
            twice, with and without them.
    """
    found: Dict[str, List[str]] = {}
    places = {composed(place): place for place in map(osp.dirname, names)}
    for place in places.values():
        forms = (place, composed(place), unicodedata.normalize('NFD', place))
        there = next((form for form in dict.fromkeys(forms) if fileio.isdir(
            osp.join(folder, form), backend_args=backend_args)), None)
        files = () if there is None else fileio.list_dir_or_file(
            osp.join(folder, there), list_dir=False, backend_args=backend_args)
        for file in files:
            stem = _stem(file, suffixes)
            if stem is not None:
                found.setdefault(composed(osp.join(place, stem)),
                                 []).append(osp.join(there, file))
    paths: Dict[str, str] = {}
    for name in names:
        files = found.get(composed(name)) or found.get(
            composed(strip_image_suffix(name)), [name + suffixes[0]])
        stem = _stem(files[0], suffixes)
        with collecting(errors):
            if len(files) > 1:
                differing = ' and '.join(
                    repr(osp.basename(file)) for file in sorted(files))
                raise ValueError(
                    f'{osp.dirname(osp.join(folder, files[0]))}: {differing} '
                    'differ only in their suffix, which image lists leave '
                    'out, or in how accents are encoded: rename one of them.')
            if stem in paths:
                raise ValueError(
                    f'{folder}: {stem!r} is listed twice, with and without '
                    'suffix or with accents encoded in two ways: remove one '
                    'of the lines.')
            paths[stem] = osp.join(folder, files[0])
    return paths


def _stem(file: str, suffixes: Sequence[str]) -> Optional[str]:
    """A file's name without the suffix; None if it has none of these."""
    for suffix in suffixes:
        if file.lower().endswith(suffix.lower()) and len(file) > len(suffix):
            return file[:-len(suffix)]
    return None


def find_missing(paths: Sequence[str],
                 backend_args: Optional[dict] = None) -> List[str]:
    """Find the files that are not there.

    Each folder is listed once, which takes a second for a hundred thousand
    files, where asking for each of them can take minutes on network storage.

    Args:
        paths (Sequence[str]): The files.
        backend_args (dict, optional): Where they are kept.

    Returns:
        list[str]: Those that are missing, in the order given.
    """

    def names(folder):
        if not fileio.isdir(folder, backend_args=backend_args):
            return set()
        return set(
            fileio.list_dir_or_file(
                folder, list_dir=False, backend_args=backend_args))

    there = {
        folder: names(folder or '.')
        for folder in {osp.dirname(path)
                       for path in paths}
    }
    return [
        path for path in paths
        if osp.basename(path) not in there[osp.dirname(path)]
    ]
