# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Sources with a file for each image."""
import os.path as osp
from typing import Callable, Sequence, Tuple

from mmseg_afa.utils import parallel_map
from ..image_list import find_missing, first_few
from ..label_file import Labels


def read_each(read: Callable[[str], Tuple[str, ...]],
              folder: str,
              names: Sequence[str],
              suffix: str,
              workers: int = 1) -> Labels:
    """Read the tags of each image from a file of its own.

    Args:
        read (Callable): Gives the tags in a file; something that can be
            pickled.
        folder (str): Where the files are.
        names (Sequence[str]): The images.
        suffix (str): What the names of their files end with.
        workers (int): Number of processes.

    Returns:
        dict[str, tuple[str]]: The tags of each image, in the order of
        ``names``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If one of them is broken.
    """
    paths = [osp.join(folder, name + suffix) for name in names]
    missing = find_missing(paths)
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} files are missing: '
            f'{first_few(missing)}. Give their folder with --folder, other '
            'images with --list, or another source with --from.')
    tags = parallel_map(read, paths, workers, description='Reading tags')
    return dict(zip(names, tags))
