# Copyright (c) mmseg_afa contributors. All rights reserved.
from contextlib import contextmanager
from typing import Iterator, Mapping


class UserError(ValueError):
    """An error that the user can fix; the tools print only its message."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Let a tool end with the message of an error, and the status 1.

    The user can also fix the errors of files and folders, which name the file.
    """
    try:
        yield
    except UserError as error:
        raise SystemExit(str(error)) from error
    except OSError as error:
        if error.filename is None:
            raise
        raise SystemExit(f'{error.filename}: {error.strerror}.') from error


def check_least(options: Mapping, **least: float) -> None:
    """Check numbers, by name, by their smallest values; None is not given."""
    for name, smallest in least.items():
        value = options[name]
        if value is not None and not value >= smallest:
            raise UserError(f'{name}: found {value}, expected {smallest} or '
                            'more.')


class MissingLibraryError(UserError, ImportError):
    """An optional library cannot be imported."""


class CheckpointError(UserError):
    """A checkpoint cannot be written, cannot be read, or does not fit."""
