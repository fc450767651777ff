# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find the photos that a user names, and read their tags."""
import glob
import os
import os.path as osp
import re
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..datasets.image_files import (IMAGE_SUFFIXES, OTHER_SUFFIXES,
                                    format_names, has_suffix, is_hidden,
                                    list_images, normalize_nfc, read_text,
                                    strip_image_suffix)
from ..datasets.label_file import (Tags, index_by_stem, read_image_list,
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


def find_photos(
        arguments: Sequence[str],
        image_list: Optional[str] = None,
        suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> Tuple[List[Photo], List[str]]:
    """Find the photos that the arguments of a tool name.

    Args:
        arguments (Sequence[str]): Photo files, folders, patterns such as
            ``photos/**/*.jpg``, and text files (.txt) with the path of a
            photo on each line. A folder includes its subfolders.
        image_list (str, optional): An image list, as data sets have them. It
            selects among the photos of all arguments, by their names.
        suffixes (Sequence[str]): Suffixes of the photos in folders; a data
            set's `img_suffix`.

    Returns:
        tuple: The photos, in the order of the image list or the arguments,
        those of a folder sorted; and images in the folders that have other
        suffixes.

    Raises:
        UserError: If a file is missing, no photo is found, or two photos have
            the same name.
    """
    found, left_out = {}, []
    for argument in arguments:
        paths, folder, others = _find_paths(argument, suffixes)
        left_out += others
        missing = [path for path in paths if not osp.isfile(path)]
        if missing:
            raise UserError(
                f'{argument}: {len(missing)} of {len(paths)} photos are '
                f'missing: {format_names(missing)}. Correct the list.')
        for path in paths:
            name = _strip(osp.relpath(path, folder), suffixes)
            found.setdefault(name, []).append(path)
    names = list(found)
    if image_list is not None:
        names = list(
            dict.fromkeys(
                name if name in found else _strip(name, suffixes)
                for name in read_image_list(image_list)))
        missing = [name for name in names if name not in found]
        if missing:
            raise UserError(
                f'{image_list}: {len(missing)} of {len(names)} photos are '
                f'missing: {format_names(missing)}. {", ".join(arguments)} '
                f'has {format_names(list(found))}. Correct the list, or name '
                'other photos.')
    for name in names:
        for other in found[name][1:]:
            if not osp.samefile(other, found[name][0]):
                raise UserError(
                    f'{found[name][0]} and {other} would both write '
                    f"{name}.png. Name the photos by a pattern, such as "
                    f"'photos/*{osp.splitext(other)[1]}', rename one of them, "
                    'or use two output folders.')
    if not names:
        raise UserError(
            f'{", ".join(arguments)}: no photo found. Name photos, folders, '
            'patterns or lists of photos (.txt). In a folder, photos end with '
            f'one of {" ".join(suffixes)}. Found {len(left_out)} images with '
            'other suffixes.')
    return [Photo(name, found[name][0]) for name in names], left_out


def _find_paths(argument: str,
                suffixes: Sequence[str]) -> Tuple[List[str], str, List[str]]:
    """Find the files of one argument, the folder of their names, and others.
    """
    if osp.isdir(argument):
        images, others = ([osp.join(argument, file) for file in files]
                          for files in list_images(argument, suffixes))
        return images, argument, others
    if argument.lower().endswith('.txt'):
        lines = read_text(argument, 'no such list of photos.').splitlines()
        paths = [line.strip() for line in lines if line.strip()]
        folders = [osp.dirname(osp.abspath(path)) for path in paths]
        return paths, osp.commonpath(folders) if folders else '', []
    if osp.isfile(argument):
        return [argument], osp.dirname(argument) or '.', []
    if glob.has_magic(argument):
        folder = osp.dirname(re.split(r'[*?[]', argument)[0]) or '.'
        files = [
            path for path in sorted(glob.glob(argument, recursive=True))
            if osp.isfile(path) and not is_hidden(osp.relpath(path, folder))
        ]
        images = [path for path in files if has_suffix(path, IMAGE_SUFFIXES)]
        return images, folder, [
            path for path in files if has_suffix(path, OTHER_SUFFIXES)
        ]
    raise UserError(f'{argument}: no such photo, folder or list.')


def _strip(path: str, suffixes: Sequence[str]) -> str:
    """Remove the suffix of a data set, or else that of any image."""
    path = normalize_nfc(Path(path).as_posix())
    stem = strip_image_suffix(path, suffixes)
    return strip_image_suffix(path) if stem == path else stem


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
    listed = index_by_stem(read_label_file(path, classes)[1])
    keys = {photo.name: _find_key(photo, listed) for photo in photos}
    missing = [name for name, key in keys.items() if key is None]
    if missing:
        raise UserError(
            f'{path}: no line for {len(missing)} of {len(photos)} photos: '
            f'{format_names(missing)}. Add lines "name: tag, tag" ("name:" '
            'for a photo without objects), or leave these photos out.')
    return {name: listed[key] for name, key in keys.items()}


def _find_key(photo: Photo, labels: Mapping[str, Tags]) -> Optional[str]:
    """Find the longest end of a photo's path that has a line.

    The line may name folders above the one that the user named.
    """
    above = normalize_nfc(osp.abspath(photo.path)).split(os.sep)
    above = above[:-1 - photo.name.count('/')]
    keys = ('/'.join([*above[i:], photo.name]) for i in range(len(above) + 1))
    return next((key for key in keys if key in labels), None)
