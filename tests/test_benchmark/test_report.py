# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest

from mmseg_afa.benchmark import compare_table, projected_seconds
from mmseg_afa.benchmark.report import clock, growth, growth_table
from mmseg_afa.benchmark.training import iterations_of


def phase(seconds, name='cam'):
    return dict(
        phase=name,
        batch=2,
        seconds=seconds,
        mean_seconds=seconds + 1,
        peak_memory=3e9,
        parts=dict(PAR=seconds))


def test_published_schedules():
    """2,001 steps of classification only, 4,000 under label (a)."""
    cfg = dict(cam_iters=2000, switch_iter=6000)
    assert iterations_of(cfg, 20000) == dict(
        classify=2001, cam=4000, affinity=13999)
    assert iterations_of(cfg, 2500) == dict(classify=2001, cam=499, affinity=0)


def test_projection():
    """Seconds an image of each phase, times the images of the schedules."""
    phases = [phase(0, 'classify'), phase(1, 'cam'), phase(2, 'affinity')]
    assert projected_seconds(phases) == {
        'VOC 2012': 4 / 2 * (2001 * 1 + 4000 * 2 + 13999 * 3),
        'COCO 2014': 8 / 2 * (5001 * 1 + 10000 * 2 + 64999 * 3)
    }
    assert clock(9 * 3600 + 14 * 60 + 20) == '9 h 14 min'


@pytest.mark.parametrize('exponent', [0, 1, 2.5])
def test_growth(exponent):
    sizes = [256, 320, 512, 640]
    values = [7 * n**exponent for n in sizes]
    assert growth(sizes, values) == pytest.approx(exponent)


def test_what_ran_out_of_memory_is_left_out():
    cells = [
        dict(crop=1, seconds=1., peak_memory=1e9),
        dict(crop=2, seconds=4., peak_memory=2e9),
        dict(crop=4)
    ]
    lines = growth_table('crop', cells).splitlines()
    assert [cell.strip()
            for cell in lines[-2].split('|')[1:-1]] == ['4', '-', '-']
    assert [cell.strip()
            for cell in lines[-1].split('|')[1:-1]] == ['exponent', '2', '1']


def test_compare():
    before = dict(training=[phase(4.)], par=dict(seconds=0.3))
    after = dict(
        training=[phase(2.), phase(1., 'classify')], par=dict(seconds=0.1))
    rows = [[cell.strip() for cell in line.split('|')[1:-1]]
            for line in compare_table(before, after).splitlines()[2:]]
    assert ['cam, s a step', '4', '2', '2'] in rows
    assert ['cam, PAR, s', '4', '2', '2'] in rows
    assert ['par, s', '0.3', '0.1', '3'] in rows
    assert not any('classify' in row[0] for row in rows)
