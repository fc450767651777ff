# Copyright (c) mmseg_afa contributors. All rights reserved.
from contextlib import contextmanager
from typing import Iterator, List, Optional


@contextmanager
def collecting(errors: Optional[List[str]]) -> Iterator[None]:
    """Collect the message of a ValueError, and go on behind the block.

    Args:
        errors (list, optional): Where to append it. None lets the error pass.
    """
    try:
        yield
    except ValueError as error:
        if errors is None:
            raise
        errors.append(str(error))


@contextmanager
def needing_utf8(path: str) -> Iterator[None]:
    """Name a text file that turns out to be in another encoding.

    Args:
        path (str): The file that is read in the block.

    Raises:
        ValueError: If it is not UTF-8.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: not a text file in UTF-8 ({error}): save '
                         'it as UTF-8.') from error
