# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Files that are there whole, or not at all."""
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Union


@contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file under another name first, and move it in place at the end.

    A process that is killed leaves the old file, or none; at most a hidden
    ``.NAME.PID.tmp`` stays beside it.

    Args:
        path (str or Path): The file; one that exists is replaced.

    Yields:
        Path: What to write instead, in the same folder. It ends with the
        suffix of ``path``, for writers that look at it.
    """
    path = Path(path)
    unfinished = path.with_name(f'.{path.stem}.{os.getpid()}.tmp{path.suffix}')
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def remove_unfinished(path: Union[str, Path]) -> None:
    """Remove what killed processes left of :func:`replacing`.

    Args:
        path (str or Path): The file; '*' in its name stands for anything.
    """
    path = Path(path)
    for unfinished in path.parent.glob(f'.{path.stem}.*.tmp{path.suffix}'):
        unfinished.unlink(missing_ok=True)
