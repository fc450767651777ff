# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Callable, Iterable, Iterator, Optional, Sequence

from tqdm import tqdm

DEFAULT_WORKERS = min(8, os.cpu_count() or 1)


def progress(items: Iterable,
             description: str = '',
             total: Optional[int] = None) -> tqdm:
    """Show on stderr how far a loop is; in a log, every ten seconds.

    Args:
        items (Iterable): What to loop over.
        description (str): Stands before the bar.
        total (int, optional): Number of items, if they have no length.
    """
    return tqdm(
        items,
        description,
        total,
        mininterval=0.1 if sys.stderr.isatty() else 10,
        dynamic_ncols=True)


def ordered_map(function: Callable,
                tasks: Iterable,
                workers: int = DEFAULT_WORKERS) -> Iterator[Any]:
    """Apply a function to each task in several threads.

    Threads, because decoding and encoding images, which is what takes the
    time, runs outside of Python's global lock. A few tasks ahead are taken
    only as results are: memory does not grow with their number.

    Args:
        function (Callable): What to do with a task.
        tasks (Iterable): Its arguments; there may be no end of them.
        workers (int): Number of threads.

    Yields:
        The results, in the order of the tasks. What a task raises comes out
        here, and tasks that have not begun by then are dropped.
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
                 description: str = '') -> Iterator[Any]:
    """:func:`ordered_map` with progress shown."""
    results = ordered_map(function, tasks, workers)
    yield from progress(results, description, len(tasks))
