# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What tables and records of tags have in common."""
import re
from typing import Dict, List, Tuple

from mmseg_afa.utils import needing_utf8

# What people call the field with the image, and that with its tags.
IMAGE_FIELDS = ('image', 'image_name', 'file', 'file_name', 'filename', 'name',
                'path')
TAG_FIELDS = ('tags', 'tag', 'labels', 'label', 'classes', 'class',
              'categories', 'category')


def read_utf8(path: str) -> str:
    """Read a text file, its line ends as they are.

    Args:
        path (str): The file; a byte order mark is skipped.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8.
    """
    with open(path, encoding='utf-8-sig', newline='') as file:
        with needing_utf8(path):
            return file.read()


def split_tags(where: str, text: str) -> List[str]:
    """Split tags at commas, semicolons and bars.

    Not at spaces: they stand in names of classes, such as 'hot dog'.

    Args:
        where (str): File and line, for the message.
        text (str): The tags; empty ones are skipped.

    Raises:
        ValueError: If it is a list as Python writes it.
    """
    if text.lstrip().startswith('['):
        raise ValueError(f'{where}: found {text!r}, expected tags such as '
                         '"cat;dog": write them without brackets and quotes.')
    return [tag.strip() for tag in re.split('[,;|]', text) if tag.strip()]


def add_tags(labels: Dict[str, Tuple[str, ...]], name: str,
             tags: List[str]) -> None:
    """Add tags to those that an image has already, in place.

    Args:
        labels (dict[str, tuple[str]]): The tags of each image.
        name (str): The image.
        tags (list[str]): Its further tags; those it has are skipped.
    """
    labels[name] = tuple(dict.fromkeys((*labels.get(name, ()), *tags)))
