# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Apply functions in threads, and show progress.

Threads suffice: images are decoded and encoded outside of Python's lock.
"""
import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any, Callable, Iterable, Iterator, Sequence

from tqdm import tqdm
from tqdm.contrib.concurrent import thread_map

DEFAULT_WORKERS = min(8, os.cpu_count() or 1)

# In a log file, one line in ten seconds suffices.
BAR = dict(mininterval=0.1 if sys.stderr.isatty() else 10, dynamic_ncols=True)
progress = partial(tqdm, **BAR)


def ordered_map(function: Callable,
                tasks: Iterable,
                workers: int = DEFAULT_WORKERS) -> Iterator[Any]:
    """Apply a function to each task in threads, only a few tasks ahead.

    The tasks may be endless. The results keep their order.
    """
    tasks = iter(tasks)
    with ThreadPoolExecutor(workers) as pool:
        running = deque()
        try:
            while True:
                for task in islice(tasks, 2 * workers - len(running)):
                    running.append(pool.submit(function, task))
                if not running:
                    return
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def parallel_map(function: Callable,
                 tasks: Sequence,
                 workers: int = DEFAULT_WORKERS,
                 description: str = '') -> list:
    """Apply a function to each task in threads, and show the progress."""
    return thread_map(
        function, tasks, max_workers=workers, desc=description, **BAR)
