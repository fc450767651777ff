# Copyright (c) mmseg_afa contributors. All rights reserved.
from argparse import ArgumentTypeError


def positive(text: str) -> int:
    """An argparse type: an integer from 1 on."""
    if int(text) < 1:
        raise ArgumentTypeError(f'{text} must be at least 1')
    return int(text)
