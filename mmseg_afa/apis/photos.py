# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find the photos that a user names, and read their tags."""
import glob
import os.path as osp
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..datasets.image_files import (IMAGE_SUFFIXES, format_names, list_images,
                                    normalize_nfc, read_text, split_images,
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
    every = (*suffixes, *IMAGE_SUFFIXES)
    for argument in arguments:
        folder, files, others = _find_files(argument, suffixes)
        left_out += [osp.join(folder, file) for file in others]
        paths = {file: osp.join(folder, file) for file in files}
        missing = [path for path in paths.values() if not osp.isfile(path)]
        if missing:
            raise UserError(
                f'{argument}: {len(missing)} of {len(paths)} photos are '
                f'missing: {format_names(missing)}. Correct the list.')
        for file, path in paths.items():
            found.setdefault(_name(file, every), []).append(path)
    names = list(found)
    if image_list is not None:
        listed = read_image_list(image_list)
        names = [one if one in found else _name(one, every) for one in listed]
        names = list(dict.fromkeys(names))
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


def _find_files(argument: str,
                suffixes: Sequence[str]) -> Tuple[str, List[str], List[str]]:
    """Find a folder, the photos of an argument in it, and other images."""
    if osp.isdir(argument):
        return argument, *list_images(argument, suffixes)
    if argument.lower().endswith('.txt'):
        lines = read_text(argument, 'no such list of photos.').splitlines()
        paths = [osp.abspath(line.strip()) for line in lines if line.strip()]
        folder = osp.commonpath(map(osp.dirname, paths)) if paths else '.'
        return folder, [osp.relpath(path, folder) for path in paths], []
    if osp.isfile(argument):
        return osp.dirname(argument), [osp.basename(argument)], []
    if glob.has_magic(argument):
        folder = osp.dirname(re.split(r'[*?[]', argument)[0])
        paths = filter(osp.isfile, glob.glob(argument, recursive=True))
        files = (osp.relpath(path, folder or '.') for path in paths)
        return folder, *split_images(files, IMAGE_SUFFIXES)
    raise UserError(f'{argument}: no such photo, folder or list.')


def _name(file: str, suffixes: Sequence[str]) -> str:
    return normalize_nfc(strip_image_suffix(Path(file).as_posix(), suffixes))


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
            f'{format_names(missing)}. Add lines "name: tag, tag", or '
            'leave out the photos that are not tagged yet.')
    return tags
