# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from mmseg_afa.utils import parallel, parallel_map


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


def note(number, folder):
    (folder / str(number)).touch()
    time.sleep(0.05)


def test_what_is_not_begun_is_left_when_nobody_wants_it(tmp_path):
    results = parallel_map(partial(note, folder=tmp_path), range(1000), 2)
    next(results)
    results.close()
    # Each process ends its first 16, and one more that it has begun.
    assert len(list(tmp_path.iterdir())) <= 34


def test_a_log_says_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr(parallel, 'SECONDS', -1)
    list(parallel_map(square, range(3), description='Squares'))
    said = capsys.readouterr().err.splitlines()
    assert said == [f'Squares {number}/3' for number in (1, 2, 3, 3)]


def start(program, *args):
    """A Python process in a group of its own."""
    return subprocess.Popen([sys.executable, '-c', program, *args],
                            stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL,
                            start_new_session=True,
                            text=True)


SLEEP = '''
import os, signal, sys, time
from mmseg_afa.utils import parallel_map

def sleep(_):
    os.write(1, f'{os.getpid()}\\n'.encode())  # at once, unlike print
    time.sleep(float(sys.argv[1]))

signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
list(parallel_map(sleep, range(10_000), 2))
'''


def test_processes_die_with_a_killed_parent():
    parent = start(SLEEP, '60')
    children = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    until = time.monotonic() + 60
    while any(map(alive, children)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, children))


@pytest.mark.parametrize('kill', [os.kill, os.killpg])
def test_a_parent_that_is_asked_to_end_does(kill):
    parent = start(SLEEP, '0.01')
    children = {int(parent.stdout.readline()) for _ in range(100)}
    kill(parent.pid, signal.SIGTERM)
    parent.communicate(timeout=60)
    assert parent.returncode != 0
    assert not any(map(alive, children))


OPENCV = '''
import cv2, numpy
from mmseg_afa.utils import parallel_map

def threads(_):
    return cv2.getNumThreads()

cv2.setNumThreads(4)
cv2.resize(numpy.zeros((4000, 4000), numpy.uint8), (999, 999))  # starts them
print(set(parallel_map(threads, range(100), 2)), cv2.getNumThreads())
'''


def test_opencv_may_have_been_at_work_before():
    out, _ = start(OPENCV).communicate(timeout=60)
    assert out == '{1} 4\n'
