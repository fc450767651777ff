# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Tags of a text file: a line "name: tag, tag" for each image."""
from typing import Optional, Tuple

from ..label_file import Labels, read_label_file
from .names import as_in_image_list


def read_text(path: str) -> Tuple[Optional[Tuple[str, ...]], Labels]:
    """Read the tags of lines "name: tag, tag".

    The lines are those of a label file; the first one, with the classes, may
    be missing, and the names of the images may have their suffix.

    Args:
        path (str): The file, UTF-8.

    Returns:
        tuple: The classes of the first line, or None if it lists none; and
        the tags of each image.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line cannot be read, or names an image again.
    """
    classes, labels = read_label_file(path)
    return classes, as_in_image_list(path, labels)
