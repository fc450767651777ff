# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Mapping


class UserError(ValueError):
    """An error that the user can fix; the tools print only its message."""


def check_least(options: Mapping, **least: float) -> None:
    """Check numbers by their smallest values; None is not given.

    Args:
        options (Mapping): Values of arguments or of a tool's options, by name.
        least (float): The smallest value of each number, by name.

    Raises:
        UserError: If a number is smaller, or is not a number.
    """
    for name, smallest in least.items():
        value = options[name]
        if value is not None and not value >= smallest:
            raise UserError(f'{name}: found {value}, expected {smallest} or '
                            'more.')


class MissingLibraryError(UserError, ImportError):
    """An optional library cannot be imported."""


class CheckpointError(UserError):
    """A checkpoint cannot be written, cannot be read, or does not fit."""
