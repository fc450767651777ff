# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Tags of masks: the classes that have a pixel."""
from functools import partial
from typing import Sequence, Tuple

from ..label_file import Labels
from ..mask_file import read_mask, tags_in_mask
from .each_file import read_each


def read_masks(folder: str,
               names: Sequence[str],
               classes: Sequence[str],
               workers: int = 1) -> Tuple[Tuple[str, ...], Labels]:
    """Read the tags of each image from its mask.

    Args:
        folder (str): Where the masks are, named as the images, '.png'.
        names (Sequence[str]): The images.
        classes (Sequence[str]): The foreground classes, id 1 first.
        workers (int): Number of processes.

    Returns:
        tuple: The classes, and the tags of each image.

    Raises:
        FileNotFoundError: If a mask is missing.
        ValueError: If one of them is broken.
    """
    read = partial(tags_of_mask, classes=classes)
    return tuple(classes), read_each(read, folder, names, '.png', workers)


def tags_of_mask(path: str, classes: Sequence[str]) -> Tuple[str, ...]:
    """The classes of a mask, in the order of ``classes``.

    Args:
        path (str): An image with 0 for background, the number of a class
            from 1 on, or 255 at each pixel.
        classes (Sequence[str]): The foreground classes.

    Raises:
        ValueError: If the file is no such image.
    """
    return tags_in_mask(read_mask(path, len(classes) + 1), classes)
