# Copyright (c) mmseg_afa contributors. All rights reserved.


class UserError(ValueError):
    """An error that the user can fix; the tools print only its message."""


class MissingLibraryError(UserError, ImportError):
    """An optional library cannot be imported."""


class CheckpointError(UserError):
    """A checkpoint cannot be written, cannot be read, or does not fit."""
