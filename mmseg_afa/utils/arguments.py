# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
from argparse import ArgumentParser, ArgumentTypeError


def positive(text: str) -> int:
    """An argparse type: an integer from 1 on."""
    if int(text) < 1:
        raise ArgumentTypeError(f'{text} must be at least 1')
    return int(text)


def add_workers(parser: ArgumentParser, what: str = '') -> None:
    """Add the option `--workers`.

    Args:
        parser (ArgumentParser): Changed in place.
        what (str): What only needs processes, with a colon, for the help.
    """
    parser.add_argument(
        '--workers',
        type=positive,
        default=min(8,
                    os.cpu_count() or 1),
        help=f'{what}number of processes (default: %(default)s)')
