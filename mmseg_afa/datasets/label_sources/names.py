# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Names of images, as sources write them and as image lists do."""
import re
from typing import Mapping, Sequence

from ..image_list import check_name, strip_image_suffix
from ..label_file import Labels

UNWRITABLE = re.compile('[\r\n\ud800-\udfff]')


def as_in_image_list(where: str, labels: Mapping[str,
                                                 Sequence[str]]) -> Labels:
    """Name images by their path in the folder of images, without suffix.

    Args:
        where (str): The file they come from, for messages.
        labels (Mapping[str, Sequence[str]]): The tags of each image. Its
            name may have a suffix, and backslashes between folders.

    Returns:
        dict[str, tuple[str]]: The tags of each image, in the same order.

    Raises:
        ValueError: If a name is empty, has a line break in it or leads out of
            the folder, or if two images get the same name.
    """
    written = {}
    for text in labels:
        name = strip_image_suffix(text.strip().replace('\\', '/'))
        while name.startswith('./'):
            name = name[2:]
        check_name(where, name)
        if not name or UNWRITABLE.search(name):
            raise ValueError(f'{where}: {text!r} cannot be the name of an '
                             'image: write its path, in one line of UTF-8.')
        if name in written:
            raise ValueError(
                f'{where}: {written[name]!r} and {text!r} are both {name!r} '
                'without their suffix: rename one of the images.')
        written[name] = text
    return {name: tuple(labels[text]) for name, text in written.items()}
