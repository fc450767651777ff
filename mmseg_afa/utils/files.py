# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Expand paths; write files as a whole, or not at all."""
import os
import re
import secrets
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Iterator, Union


def expand_home(value: Any) -> Any:
    """Expand a leading ``~`` in a path, or in all strings of a config."""
    if isinstance(value, str):
        return os.path.expanduser(value)
    if isinstance(value, dict):
        return type(value)({k: expand_home(v) for k, v in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(map(expand_home, value))
    return value


@contextmanager
def replacing(path: Union[str, Path]) -> Iterator[Path]:
    """Write a file under a temporary name, and rename it at the end.

    If the process is killed, the old file stays as it is, and a hidden
    ``.STEM.RANDOM.tmp.SUFFIX`` stays beside it. Several processes may write
    the same file: the last one wins.

    Yields:
        Path: The temporary file, with the folder and the suffix of ``path``.
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
    """Delete the temporary files of killed processes, also in subfolders.

    A file that changed in the last ten minutes may belong to a process that
    is still writing. It is kept.
    """
    for path in Path(folder).rglob('.*'):
        if re.fullmatch(r'\..*\.[0-9a-f]{8}\.tmp(\.[^.]*)?', path.name):
            with suppress(FileNotFoundError):  # renamed in the meantime
                if path.stat().st_mtime < time.time() - 600:
                    path.unlink()


def put_atomically(self: Any, obj: bytes, filepath: Union[str, Path]) -> None:
    """Write bytes to a file as a whole, as mmengine's ``LocalBackend.put``."""
    Path(filepath).parent.mkdir(parents=True, exist_ok=True)
    with replacing(filepath) as unfinished, open(unfinished, 'wb') as file:
        file.write(obj)
        file.flush()
        # Without it, a power failure may keep the new name but no content.
        os.fsync(file.fileno())
