# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import signal
import subprocess
import sys
import time

import pytest

from mmseg_afa.utils import parallel_map


def square(number):
    if number == -1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def invert(number):
    return 1 / number


@pytest.mark.parametrize('workers', [1, 2])
def test_results_are_in_order(workers):
    results = parallel_map(square, range(100), workers)
    assert list(results) == [number * number for number in range(100)]


@pytest.mark.parametrize('workers', [1, 2])
def test_errors_arrive(workers):
    with pytest.raises(ZeroDivisionError):
        list(parallel_map(invert, [2, 1, 0], workers))


def test_tasks_are_read_as_needed():
    read = []

    def tasks():
        for number in range(10_000):
            read.append(number)
            yield number

    results = parallel_map(square, tasks(), 2, total=10_000)
    assert next(results) == 0
    assert len(read) < 200
    results.close()


def test_a_killed_process_is_noticed():
    with pytest.raises(ChildProcessError, match='2 processes died'):
        list(parallel_map(square, [1, -1], 2))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


SLEEP = '''
import os, time
from mmseg_afa.utils import parallel_map

def sleep(_):
    os.write(1, f'{os.getpid()}\\n'.encode())  # at once, unlike print
    time.sleep(60)

list(parallel_map(sleep, range(64), 2))
'''


def test_processes_die_with_a_killed_parent():
    parent = subprocess.Popen([sys.executable, '-c', SLEEP],
                              stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL,
                              text=True)
    children = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    until = time.monotonic() + 20
    while any(map(alive, children)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, children))
