# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The same work on many files, in several processes, with progress shown."""
import multiprocessing
import os
import signal
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from threading import Thread
from typing import Any, Callable, Iterable, Iterator, Optional

import cv2
from rich.console import Console
from rich.progress import track

CHUNK = 16  # tasks that travel to a process together
CHUNKS_AHEAD = 4  # chunks that wait for each process


def parallel_map(function: Callable,
                 tasks: Iterable,
                 workers: int = 1,
                 total: Optional[int] = None,
                 description: str = 'Working...') -> Iterator[Any]:
    """Apply a function to each task, and show how far it is.

    mmengine's ``track_parallel_progress`` keeps all tasks and results in
    memory, and waits for ever if one of its processes is killed.

    Args:
        function (Callable): Something that can be pickled.
        tasks (Iterable): Its arguments; they are read as they are needed.
        workers (int): Number of processes; 1 stays in this one.
        total (int, optional): Number of tasks, if ``tasks`` has no length.
        description (str): Stands before the bar.

    Yields:
        The results, in the order of the tasks.

    Raises:
        ChildProcessError: If one of the processes was killed.
    """
    if total is None:
        total = len(tasks)
    results = map(function, tasks) if workers == 1 else _in_processes(
        function, tasks, workers)
    yield from track(results, description, total, console=Console(stderr=True))


def _in_processes(function, tasks, workers):
    pool = ProcessPoolExecutor(workers, initializer=_start_process)
    tasks, waiting = iter(tasks), deque()
    try:
        while True:
            chunk = list(islice(tasks, CHUNK))
            if chunk:
                waiting.append(pool.submit(_apply, function, chunk))
            if not waiting:
                return
            if not chunk or len(waiting) >= CHUNKS_AHEAD * workers:
                yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            f'One of {workers} processes died without a word: the memory ran '
            'out, or a damaged file crashed the library that reads it. Use '
            'fewer workers, or one: its last lines name the library.'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _apply(function, chunk):
    return [function(task) for task in chunk]


def _start_process():
    cv2.setNumThreads(1)  # there are as many processes as there shall be
    # Ctrl-C stops the parent, which stops its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent():
    # A pool's processes outlive a parent that was killed by SIGKILL, see
    # https://github.com/python/cpython/issues/111873
    multiprocessing.parent_process().join()
    os._exit(1)
