# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Processes that run crf_worker.py, each under a thread that waits for it."""
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import LifoQueue
from typing import Callable, Optional, Sequence

import numpy as np

SCRIPT = Path(__file__).with_name('crf_worker.py')


class Worker:
    """Calls `dense_crf` in a process, started when it is first needed."""

    def __init__(self) -> None:
        self.process: Optional[subprocess.Popen] = None

    def __call__(self, image: np.ndarray, masks: np.ndarray,
                 *settings) -> np.ndarray:
        """See :func:`crf_worker.dense_crf`.

        Raises:
            RuntimeError: If the process ends before it answers; the next
                call starts another.
        """
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, SCRIPT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the main process
                env=dict(os.environ, OMP_NUM_THREADS='1'))
        try:
            pickle.dump((image, masks, *settings), self.process.stdin, 5)
            self.process.stdin.flush()
            return pickle.load(self.process.stdout)
        except Exception as error:
            classes, height, width = masks.shape
            raise RuntimeError(
                f'DenseCRF: a worker process stopped at an image of {width} x '
                f'{height} pixels and {classes} classes, with exit status '
                f'{self.close()} (-9: killed, mostly for want of memory). '
                'Take fewer `num_workers` or smaller images.') from error

    def close(self) -> Optional[int]:
        """End the process; returns the exit status if there was one."""
        process, self.process = self.process, None
        if process is None:
            return None
        process.kill()
        process.communicate()  # closes the pipes and waits
        return process.returncode


class Workers:
    """A fixed number of workers. As many images are in flight.

    Args:
        count (int): Their number.
    """

    def __init__(self, count: int) -> None:
        self.workers = [Worker() for _ in range(count)]
        self.threads = ThreadPoolExecutor(count)
        # the last one used is taken first: two images start two processes
        self.idle = LifoQueue()
        for worker in self.workers:
            self.idle.put(worker)

    def map(self, function: Callable, *sequences: Sequence) -> list:
        """``function(worker, *items)`` for the items of sequences, in order.

        The threads call it, so that what it makes of its items to send them
        exists only while they are in flight.
        """

        def call(*items):
            worker = self.idle.get()
            try:
                return function(worker, *items)
            finally:
                self.idle.put(worker)

        return list(self.threads.map(call, *sequences))

    def close(self) -> None:
        """End the processes."""
        self.threads.shutdown(wait=False)
        for worker in self.workers:
            worker.close()
