# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Image lists: which images a split has, and whether they are there."""
import os.path as osp
from pathlib import PurePosixPath
from typing import List, Optional, Sequence

from mmengine import fileio

from ..utils import collecting


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
        ValueError: If it names no image, or one twice, or one outside the
            folder of images.
    """
    try:
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
                suffix: str,
                backend_args: Optional[dict] = None) -> List[str]:
    """List the images of a folder and the folders in it.

    Args:
        folder (str): The folder.
        suffix (str): How the names of the images end, '.jpg' for example.
        backend_args (dict, optional): Where the folder is kept.

    Returns:
        list[str]: Their paths in the folder, without suffix, sorted.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
    """
    names = []
    if fileio.isdir(folder, backend_args=backend_args):
        names = sorted(path[:-len(suffix)] for path in fileio.list_dir_or_file(
            folder,
            list_dir=False,
            suffix=suffix,
            recursive=True,
            backend_args=backend_args))
    if not names:
        raise FileNotFoundError(
            f'{folder}: no such folder, or no file *{suffix} in it. Correct '
            'data_root, data_prefix or the suffix, or give an ann_file.')
    return names


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
