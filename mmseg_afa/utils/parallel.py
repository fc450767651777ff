# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The same work on many files, in several processes, with progress shown."""
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from itertools import islice
from multiprocessing.sharedctypes import RawValue
from threading import Thread
from typing import Any, Callable, Iterable, Iterator, Optional

import cv2
from rich.console import Console
from rich.progress import track

CHUNK = 16  # tasks that travel to a process together
CHUNKS_AHEAD = 4  # chunks that wait for each process
SECONDS = 10  # between two lines in a log, where no bar can be drawn

# In a process: whether nobody wants what it has not begun. No lock guards it:
# a process that is killed while it holds one stops all the others.
_unwanted = None


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
    if workers == 1:
        results = (function(task) for task in tasks)
    else:
        results = _in_processes(function, tasks, workers)
    console = Console(stderr=True)
    # An error in the bar leaves the results behind it open, and the processes
    # at work until somebody collects the garbage.
    with closing(results):
        if console.is_terminal:
            yield from track(results, description, total, console=console)
        else:
            yield from _with_lines(results, description, total)


def _with_lines(results, description, total):
    printed, done = time.monotonic(), 0
    for done, result in enumerate(results, 1):
        yield result
        if time.monotonic() - printed > SECONDS:
            printed = time.monotonic()
            print(f'{description} {done}/{total}', file=sys.stderr, flush=True)
    print(f'{description} {done}/{total}', file=sys.stderr, flush=True)


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV use one thread, here and in processes forked from here."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _in_processes(function, tasks, workers):
    unwanted = RawValue('b', False)
    tasks, waiting = iter(tasks), deque()
    # Before the fork: a forked process that would end OpenCV's threads, which
    # it has not, waits for ever, see
    # https://github.com/opencv/opencv/issues/5150
    with one_opencv_thread():
        pool = ProcessPoolExecutor(
            workers, initializer=_start_process, initargs=(unwanted, ))
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
                f'One of {workers} processes died without a word: the memory '
                'ran out, or a damaged file crashed the library that reads '
                'it. Use fewer workers, or one: its last lines name the '
                'library.') from error
        finally:
            # Not by cancel_futures: a pool that loses a process meanwhile, as
            # when a whole group is killed, never ends then, see
            # https://github.com/python/cpython/pull/108974
            unwanted.value = True
            pool.shutdown()


def _apply(function, chunk):
    return [function(task) for task in chunk if not _unwanted.value]


def _start_process(unwanted):
    global _unwanted
    _unwanted = unwanted
    cv2.setNumThreads(1)  # for a process that was not forked
    # Ctrl-C stops the parent, which stops its processes; a handler of the
    # parent's must not keep them from it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent():
    # A pool's processes outlive a parent that was killed by SIGKILL, see
    # https://github.com/python/cpython/issues/111873
    multiprocessing.parent_process().join()
    os._exit(1)
