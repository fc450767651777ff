# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Files that are there whole, or not at all."""
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Union

UNFINISHED = re.compile(r'\..+\.\d+\.tmp(\.[^.]+)?')


@contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file under another name first, and move it in place at the end.

    A process that is killed leaves the old file, or none; at most a hidden
    ``.STEM.PID.tmp.SUFFIX`` stays beside it, see :func:`remove_unfinished`.

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


def remove_unfinished(folder: Union[str, Path]) -> None:
    """Remove what killed processes have left of :func:`replacing`.

    Args:
        folder (str or Path): The folder, not those in it. Nobody else may be
            writing there. One that does not exist has nothing to remove.
    """
    for path in Path(folder).glob('.*.tmp*'):
        if UNFINISHED.fullmatch(path.name) and path.is_file():
            path.unlink()
