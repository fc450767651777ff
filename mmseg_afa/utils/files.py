# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Write files as a whole, or not at all."""
import os
import re
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Union


@contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file under a temporary name, and rename it at the end.

    If the process is killed, the old file stays as it is. At most a hidden
    ``.STEM.RANDOM.tmp.SUFFIX`` stays beside it, which
    :func:`remove_unfinished` deletes. Several processes may write the same
    file: the last one wins.

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


def remove_unfinished(folder: Union[str, Path]) -> None:
    """Delete the files that killed processes left in a folder.

    No other process may write there, also not to the folders inside.
    """
    for path in Path(folder).rglob('.*'):
        if re.fullmatch(r'\..*\.[0-9a-f]{8}\.tmp(\.[^.]*)?', path.name):
            path.unlink()


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
