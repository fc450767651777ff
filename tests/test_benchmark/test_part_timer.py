# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch

from mmseg_afa.benchmark import PartTimer
from mmseg_afa.benchmark import part_timer as module


class Clock:
    """Time that passes when it is told to."""

    now = 0.

    def perf_counter(self):
        return self.now


class Work:

    def __init__(self, clock):
        self.clock = clock

    def outer(self):
        self.clock.now += 1
        self.inner()
        return 'done'

    def inner(self):
        self.clock.now += 10


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, 'time', clock)
    return clock


def test_parts_exclude_the_parts_inside(clock):
    timer, work = PartTimer(torch.device('cpu')), Work(clock)
    timer.wrap(work, 'outer', 'outer')
    timer.wrap(work, 'inner', 'inner')
    for _ in range(2):
        work.outer()  # outside of a step
        with timer.step():
            clock.now += 100
            assert work.outer() == 'done'
            work.inner()
    assert timer.results() == [dict(step=121, other=100, outer=1, inner=20)
                               ] * 2
    timer.unwrap()
    assert vars(work) == dict(clock=clock)


def test_a_part_that_fails_ends(clock):
    timer = PartTimer(torch.device('cpu'))
    with timer.step():
        with pytest.raises(KeyError), timer.part('bad'):
            clock.now += 2
            raise KeyError
    assert timer.results() == [dict(step=2, other=0, bad=2)]
