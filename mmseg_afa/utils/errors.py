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
