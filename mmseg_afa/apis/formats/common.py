# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Parts that several formats share."""
import json
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, List

import numpy as np

from ...utils import IGNORE_INDEX, replacing


def foreground(mask: np.ndarray) -> List[int]:
    """List the foreground classes that have a pixel in a mask."""
    return [int(i) for i in np.unique(mask) if i not in (0, IGNORE_INDEX)]


@contextmanager
def json_list(path: Path) -> Iterator[Callable[[dict], None]]:
    """Write a JSON list item by item, completely or not at all."""
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
