# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Write files as a whole, or not at all."""
import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Union


@contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file under a temporary name, and rename it at the end.

    If the process is killed, the old file stays as it is. At most a hidden
    ``.STEM.RANDOM.tmp.SUFFIX`` stays beside it. Several processes may write
    the same file: the last one wins.

    Args:
        path (str or Path): The file. An existing file is replaced.

    Yields:
        Path: The temporary file, in the same folder. It has the suffix of
        ``path``, for writers that choose a format by the suffix.
    """
    path = Path(path)
    unfinished = path.with_name(
        f'.{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}')
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def put_atomically(self: Any, obj: bytes, filepath: Union[str, Path]) -> None:
    """Write bytes to a file as a whole.

    The function replaces mmengine's ``LocalBackend.put``, which would leave
    half a checkpoint if the process is killed.
    https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/fileio/backends/local_backend.py

    Args:
        self (LocalBackend): The backend; not used.
        obj (bytes): The content.
        filepath (str or Path): The file. Its folder is made if necessary.
    """
    Path(filepath).parent.mkdir(parents=True, exist_ok=True)
    with replacing(filepath) as unfinished, open(unfinished, 'wb') as file:
        file.write(obj)
        file.flush()
        # Without it, a power failure may keep the new name but no content.
        os.fsync(file.fileno())
