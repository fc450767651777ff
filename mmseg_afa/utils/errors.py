# Copyright (c) mmseg_afa contributors. All rights reserved.


class UserError(ValueError):
    """An error that the user can fix.

    Its message names the file or the config key, what was found, and the fix.
    The tools print that message and exit; other errors keep their traceback.
    """


class CheckpointError(UserError):
    """A checkpoint cannot be written, cannot be read, or does not fit."""
