# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Tags of a folder for each class: cat/1.jpg, dog/outside/2.jpg."""
from typing import Tuple

from mmengine import fileio

from ..image_list import first_few, strip_image_suffix
from ..label_file import Labels
from .names import as_in_image_list

NO_CLASS = 'background'  # a folder of images without tags


def read_folders(folder: str) -> Tuple[Tuple[str, ...], Labels]:
    """Read the tag of each image from the folder it is in.

    Args:
        folder (str): Has a folder for each class, with images in it and in
            its own folders. Those in 'background' have no tags.

    Returns:
        tuple: The names of the folders, sorted; and the tag of each image,
        which is named by its path, 'cat/1'.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
        ValueError: If an image is in none of the folders, or two of a folder
            have the same name without suffix.
    """
    paths = []
    if fileio.isdir(folder):
        paths = sorted(
            path for path in fileio.list_dir_or_file(
                folder, list_dir=False, recursive=True)
            if strip_image_suffix(path) != path)
    if not paths:
        raise FileNotFoundError(f'{folder}: no such folder, or no image in '
                                'it. Give it with --folder.')
    outside = [path for path in paths if '/' not in path]
    if outside:
        raise ValueError(
            f'{folder}: in no folder of a class: {first_few(outside)}. Move '
            f'images without tags to {NO_CLASS!r}.')
    labels = {}
    for path in paths:
        top = path.partition('/')[0]
        labels[path] = () if top == NO_CLASS else (top, )
    classes = sorted(
        set(fileio.list_dir_or_file(folder, list_file=False)) - {NO_CLASS})
    return tuple(classes), as_in_image_list(folder, labels)
