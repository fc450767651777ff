# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Photos that somebody names: files, folders, patterns, lists."""
import glob
import os.path as osp
from pathlib import Path, PurePath
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..datasets.image_files import (IMAGE_SUFFIXES, find_images, format_names,
                                    normalize_nfc, read_text,
                                    strip_image_suffix)
from ..datasets.label_file import (index_by_stem, read_image_list,
                                   read_label_file)


class Photo(NamedTuple):
    """A photo. `name` is its path in the folder that was named, with '/' and
    without suffix: what comes of it gets the same name."""
    name: str
    path: str


def find_photos(arguments: Sequence[str],
                image_list: Optional[str] = None) -> List[Photo]:
    """Find photos.

    Args:
        arguments (Sequence[str]): Photo files; folders, with those in them;
            patterns such as ``photos/**/*.jpg``; text files (.txt) with the
            path of a photo on each line.
        image_list (str, optional): A file that names, on each line, a photo
            of the folders, as image lists of data sets do; others are left
            out.

    Returns:
        list[Photo]: In the order of the arguments, those of a folder sorted.

    Raises:
        FileNotFoundError: If there is no such file, or no photo at all.
        ValueError: If two photos have the same name.
    """
    photos = {}
    for argument in arguments:
        for photo in _photos(argument, image_list):
            other = photos.setdefault(normalize_nfc(photo.name), photo)
            if not osp.samefile(other.path, photo.path):
                raise ValueError(
                    f'{other.path} and {photo.path} would both become '
                    f'{photo.name}.png: rename one of them, or write them to '
                    'folders of their own.')
    if not photos:
        raise FileNotFoundError(
            f'{", ".join(arguments)}: no photo found. Name photos, folders of '
            f'photos, patterns or lists of them (.txt); photos end with '
            f'{" ".join(IMAGE_SUFFIXES)}.')
    return list(photos.values())


def _photos(argument: str, image_list: Optional[str]) -> List[Photo]:
    if osp.isdir(argument):
        names = None if image_list is None else read_image_list(image_list)
        files, _ = find_images(argument, IMAGE_SUFFIXES, names)
        return _existing(files.values(), argument, image_list)
    if osp.isfile(argument):
        if not argument.lower().endswith('.txt'):
            return [Photo(_name(osp.basename(argument)), argument)]
        lines = read_text(argument, 'no such list of photos.').splitlines()
        return _existing(filter(None, map(str.strip, lines)), '', argument)
    if glob.has_magic(argument):
        parts = PurePath(argument).parts
        fixed = [glob.has_magic(part) for part in parts].index(True)
        found = sorted(glob.glob(argument, recursive=True))
        return _existing(
            (path for path in found if strip_image_suffix(path) != path),
            str(PurePath(*parts[:fixed])) if fixed else '', argument)
    raise FileNotFoundError(f'{argument}: no such photo, folder or list.')


def _existing(paths, folder: str, where: Optional[str]) -> List[Photo]:
    """Photos named by their paths in a folder."""
    paths = list(paths)
    missing = [path for path in paths if not osp.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f'{where}: {len(missing)} of {len(paths)} photos are missing: '
            f'{format_names(missing)}. Correct the list, or the folder it is '
            'about.')
    return [Photo(_name(path, folder), path) for path in paths]


def _name(path: str, folder: str = '') -> str:
    """The name of a photo; that of the file alone if it lies elsewhere."""
    name = osp.relpath(path, folder or '.') if folder else osp.normpath(path)
    if osp.isabs(name) or name.startswith('..'):
        name = osp.basename(name)
    return strip_image_suffix(Path(name).as_posix())


def read_tags(path: str, photos: Sequence[Photo],
              classes: Sequence[str]) -> Dict[str, Tuple[str, ...]]:
    """Read the tags of photos.

    Args:
        path (str): A label file, see :mod:`mmseg_afa.datasets.label_file`.
        photos (Sequence[Photo]): The photos.
        classes (Sequence[str]): The foreground classes.

    Returns:
        dict[str, tuple[str]]: Tags by the photos' names.

    Raises:
        ValueError: If a tag is no class, or a photo has no line.
    """
    tags = index_by_stem(path, read_label_file(path, classes)[1])
    missing = [p.name for p in photos if normalize_nfc(p.name) not in tags]
    if missing:
        raise ValueError(
            f'{path}: no line for {len(missing)} of {len(photos)} photos: '
            f'{format_names(missing)}. Add "name: tag, tag" lines ("name:" for a '
            'photo without objects), or leave these photos out.')
    return {photo.name: tags[normalize_nfc(photo.name)] for photo in photos}
