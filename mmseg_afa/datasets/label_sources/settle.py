# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Bring labels of any source into the shape of a label file."""
from typing import Mapping, Optional, Sequence

from ..image_list import check_name, composed, first_few
from ..label_file import Labels, explain_all_unknown, unknown_tags


def select_images(where: str,
                  labels: Mapping[str, Sequence[str]],
                  names: Optional[Sequence[str]] = None) -> Labels:
    """Take the images of a list, or all of them, sorted by their names.

    Args:
        where (str): The source, for the message.
        labels (Mapping[str, Sequence[str]]): The tags of each image.
        names (Sequence[str], optional): The images to take.

    Returns:
        dict[str, tuple[str]]: The tags of each image, in the order of
        ``names``.

    Raises:
        ValueError: If it has no images, or not all in the list, or one whose
            name leads out of the folder of the data set.
    """
    if not labels:
        raise ValueError(f'{where}: names no image.')
    if names is None:
        names = sorted(labels)
    written = {composed(name): name for name in labels}
    written.update((name, name) for name in labels)
    source = {
        name: written.get(name, written.get(composed(name)))
        for name in names
    }
    missing = [name for name in names if source[name] is None]
    if missing:
        raise ValueError(
            f'{where}: has nothing on {len(missing)} of {len(names)} images '
            f'of the list: {first_few(missing)}, but it has '
            f'{first_few(sorted(labels))}. Add the images, without tags if '
            'they show no object, or correct the names in the list: they '
            'are without suffix.')
    for name in names:
        check_name(where, name)
    return {name: tuple(labels[source[name]]) for name in names}


def settle_tags(where: str, labels: Mapping[str, Sequence[str]],
                classes: Sequence[str]) -> Labels:
    """Check the tags, and put those of each image in the order of classes.

    Args:
        where (str): The source, for the message.
        labels (Mapping[str, Sequence[str]]): The tags of each image.
        classes (Sequence[str]): The foreground classes, id 1 first.

    Returns:
        dict[str, tuple[str]]: The tags of each image, each of them once.

    Raises:
        ValueError: If tags are no classes; it names all of them.
    """
    unknown = unknown_tags(labels, classes)
    if unknown:
        raise ValueError(f'{where}: {explain_all_unknown(unknown, classes)}')
    index = {name: i for i, name in enumerate(classes)}
    return {
        name: tuple(sorted(set(tags), key=index.get))
        for name, tags in labels.items()
    }
