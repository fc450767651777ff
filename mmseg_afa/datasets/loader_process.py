# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import signal
from threading import Thread

from mmengine.registry import FUNCTIONS


@FUNCTIONS.register_module()
def outlive_sigterm(worker_id: int, _scope_: str = '') -> None:
    """A ``worker_init_fn``: a loader's process ends when its training does.

    The signal with which a cluster announces the end of a job goes to all of
    its processes, and training still needs its images then. The same signal
    from the training process itself is obeyed.

    Args:
        worker_id (int): Number of the process.
        _scope_ (str): What mmengine adds where a config inherits another of
            some package.
    """
    if hasattr(signal, 'sigwaitinfo'):  # which macOS lacks
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=obey_parent, daemon=True).start()


def obey_parent() -> None:
    """Exit at a SIGTERM from the parent process."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)  # no clean-up of what the parent shares
