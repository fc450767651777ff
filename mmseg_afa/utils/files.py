# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Files that are there whole, or not at all."""
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Union


@contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file under another name first, and move it in place at the end.

    A process that is killed leaves the old file, or none; at most a hidden
    ``.STEM.tmp.SUFFIX`` stays beside it, which the next attempt overwrites.

    Args:
        path (str or Path): The file; one that exists is replaced.

    Yields:
        Path: What to write instead, in the same folder. It ends with the
        suffix of ``path``, for writers that look at it.
    """
    path = Path(path)
    unfinished = path.with_name(f'.{path.stem}.tmp{path.suffix}')
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
