# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import sys
from concurrent.futures import ThreadPoolExecutor
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


def parallel_map(function: Callable,
                 tasks: Sequence,
                 workers: int = DEFAULT_WORKERS,
                 description: str = '') -> Iterator[Any]:
    """Apply a function to each task in several threads, with progress shown.

    Threads, because decoding and encoding images, which is what takes the
    time, runs outside of Python's global lock.

    Args:
        function (Callable): What to do with a task.
        tasks (Sequence): Its arguments.
        workers (int): Number of threads.
        description (str): Stands before the bar.

    Yields:
        The results, in the order of the tasks. What a task raises comes out
        here, and tasks that have not begun by then are dropped.
    """
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(function, tasks)
        yield from progress(results, description, len(tasks))
