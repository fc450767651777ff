# Copyright (c) mmseg_afa contributors. All rights reserved.
"""How long the phases of a command take, and how much memory. On Linux."""
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Callable, Dict, List, Sequence, Tuple

ROOT = Path(__file__).parents[2]
POLL = 0.05  # seconds


def watch(
    command: Sequence[str],
    phase: Callable[[List[int]],
                    str]) -> Tuple[int, Dict[str, Dict[str, float]]]:
    """Run a command of this repository, and look at it again and again.

    Args:
        command (Sequence[str]): What follows ``python``.
        phase (Callable): Gets the processes that the command has started,
            and says which phase it is in.

    Returns:
        tuple[int, dict]: The exit status; and of each phase 'seconds', and
        'parent_mb' and 'worker_mb', the most memory that the command and any
        of its processes held, pages that they share counted for both.
    """
    phases = defaultdict(lambda: dict(seconds=0, parent_mb=0, worker_mb=0))
    before = time.monotonic()
    with subprocess.Popen([sys.executable, *command],
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL,
                          env={
                              **os.environ, 'PYTHONPATH': str(ROOT)
                          }) as process:
        while process.poll() is None:
            time.sleep(POLL)
            workers = children(process.pid)
            now, figures = time.monotonic(), phases[phase(workers)]
            figures['seconds'] += now - before
            figures['parent_mb'] = max(figures['parent_mb'],
                                       memory(process.pid))
            figures['worker_mb'] = max(
                [figures['worker_mb'], *map(memory, workers)])
            before = now
    return process.returncode, {
        name: {
            key: round(value, 1)
            for key, value in figures.items()
        }
        for name, figures in phases.items()
    }


def memory(pid: int) -> float:
    """What a process holds in memory now, in MB; 0 if it ended."""
    try:
        status = Path(f'/proc/{pid}/status').read_text()
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith('VmRSS')]
    return int(lines[0].split()[1]) / 1024 if lines else 0


def children(pid: int) -> List[int]:
    """The processes that a process started."""
    try:
        text = Path(f'/proc/{pid}/task/{pid}/children').read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]
