# Copyright (c) mmseg_afa contributors. All rights reserved.
import itertools
import time

import pytest

from mmseg_afa.utils import ordered_map, parallel_map


def test_results_are_in_order(capsys):

    def square(number):
        time.sleep(0.001 * (number % 3))
        return number**2

    results = parallel_map(square, range(50), 3, 'Squares')
    assert list(results) == [number**2 for number in range(50)]
    assert 'Squares: 100%' in capsys.readouterr().err


def test_an_error_drops_the_waiting_tasks():
    begun = []

    def fail(number):
        begun.append(number)
        time.sleep(0.01)
        raise ValueError(f'number {number}')

    with pytest.raises(ValueError, match='number 0'):
        list(parallel_map(fail, range(1000), 2))
    assert len(begun) < 100


def test_few_tasks_ahead():
    """Begin few of endless tasks before their results are wanted."""
    begun = []
    results = ordered_map(begun.append, itertools.count(), 2)
    for _ in range(10):
        next(results)
    assert len(begun) <= 14
    results.close()
