# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple, Tuple

import numpy as np
from PIL import Image

from ...utils import replacing


class PhotoMask(NamedTuple):
    """A photo and its mask, as files.

    `name` is the photo's path in its folder, with '/' and without suffix;
    `mask` an indexed PNG, 255 where nothing is said; `size` height and width;
    `confidence` the mean confidence, in [0, 1], of each class in the mask.
    """
    name: str
    photo: str
    mask: Path
    size: Tuple[int, int]
    confidence: Dict[str, float]

    def read(self) -> np.ndarray:
        """The mask, uint8 (H, W)."""
        return np.array(Image.open(self.mask))

    def palette(self) -> np.ndarray:
        """The mask's colours, uint8 (256, 3)."""
        colours = Image.open(self.mask).getpalette()
        return np.array(colours, np.uint8).reshape(-1, 3)


def classes_in(mask: np.ndarray, num_classes: int) -> Iterator[int]:
    """The foreground classes that have a pixel in a mask."""
    pixels = np.bincount(mask.ravel(), minlength=256)[:num_classes]
    return (int(i) for i in np.flatnonzero(pixels) if i > 0)


@contextmanager
def json_list(path: Path) -> Iterator[Callable[[dict], None]]:
    """Write a JSON list item by item, all of it or nothing.

    Yields:
        Callable: Writes an item.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        with open(unfinished, 'w', encoding='utf-8') as file:
            separator = '[\n'

            def write(item: dict) -> None:
                nonlocal separator
                file.write(separator + json.dumps(item, ensure_ascii=False))
                separator = ',\n'

            yield write
            file.write('\n]\n' if separator == ',\n' else '[]\n')
