# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find the photos that a user names, and read their tags."""
import glob
import os.path as osp
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..datasets.image_files import (IMAGE_SUFFIXES, find_images, format_names,
                                    normalize_nfc, read_text,
                                    strip_image_suffix)
from ..datasets.label_file import (index_by_stem, read_image_list,
                                   read_label_file)
from ..utils import UserError


class Photo(NamedTuple):
    """A photo and the name of its results.

    Attributes:
        name (str): The path in the folder that the user named, with '/' and
            without suffix. The mask of the photo has the same name.
        path (str): The file.
    """
    name: str
    path: str


def find_photos(arguments: Sequence[str],
                image_list: Optional[str] = None) -> List[Photo]:
    """Find the photos that the arguments of a tool name.

    Args:
        arguments (Sequence[str]): Photo files, folders, patterns such as
            ``photos/**/*.jpg``, and text files (.txt) with the path of a
            photo on each line. A folder includes its subfolders.
        image_list (str, optional): An image list, as data sets have them. It
            restricts the photos of the folders.

    Returns:
        list[Photo]: In the order of the arguments, those of a folder sorted.

    Raises:
        UserError: If a file is missing, no photo is found, or two photos have
            the same name.
    """
    photos = {}
    for argument in arguments:
        paths, folder = _find_paths(argument, image_list)
        missing = [path for path in paths if not osp.isfile(path)]
        if missing:
            raise UserError(
                f'{image_list or argument}: {len(missing)} of {len(paths)} '
                f'photos are missing: {format_names(missing)}. Correct the '
                'list or the folder.')
        for path in paths:
            name = _name(path, folder)
            other = photos.setdefault(name, path)
            if not osp.samefile(other, path):
                raise UserError(
                    f'{other} and {path} would both write {name}.png. Rename '
                    'one of them, or use two output folders.')
    if not photos:
        raise UserError(
            f'{", ".join(arguments)}: no photo found. Name photos, folders, '
            'patterns or lists of photos (.txt). The suffix of a photo is one '
            f'of {" ".join(IMAGE_SUFFIXES)}.')
    return [Photo(name, path) for name, path in photos.items()]


def _find_paths(argument: str,
                image_list: Optional[str]) -> Tuple[List[str], str]:
    """Find the files of one argument, and the folder of their names."""
    if osp.isdir(argument):
        names = None if image_list is None else read_image_list(image_list)
        files, _ = find_images(argument, IMAGE_SUFFIXES, names)
        return list(files.values()), argument
    if argument.lower().endswith('.txt'):
        lines = read_text(argument, 'no such list of photos.').splitlines()
        return [line.strip() for line in lines if line.strip()], ''
    if osp.isfile(argument):
        return [argument], osp.dirname(argument) or '.'
    if glob.has_magic(argument):
        paths = sorted(glob.glob(argument, recursive=True))
        return ([path for path in paths if strip_image_suffix(path) != path],
                osp.dirname(re.split(r'[*?[]', argument)[0]))
    raise UserError(f'{argument}: no such photo, folder or list.')


def _name(path: str, folder: str) -> str:
    """Name a photo by its path in a folder, or by its file name elsewhere."""
    name = osp.relpath(path, folder) if folder else osp.normpath(path)
    if osp.isabs(name) or name.startswith('..'):
        name = osp.basename(name)
    return normalize_nfc(strip_image_suffix(Path(name).as_posix()))


def read_tags(path: str, photos: Sequence[Photo],
              classes: Sequence[str]) -> Dict[str, Tuple[str, ...]]:
    """Read the tags of photos.

    Args:
        path (str): A label file.
        photos (Sequence[Photo]): The photos, which all have a line.
        classes (Sequence[str]): The foreground classes.

    Returns:
        dict[str, tuple[str]]: Tags by the names of the photos.
    """
    tags = index_by_stem(read_label_file(path, classes)[1])
    missing = [photo.name for photo in photos if photo.name not in tags]
    if missing:
        raise UserError(
            f'{path}: no line for {len(missing)} of {len(photos)} photos: '
            f'{format_names(missing)}. Add lines "name: tag, tag" ("name:" '
            'for a photo without objects), or leave these photos out.')
    return tags
