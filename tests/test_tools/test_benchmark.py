# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import sys

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub

from mmseg_afa.models import PAR
from tests.test_datasets.voc_folder import write_voc
from tests.test_reference.reference import ROOT

sys.path.insert(0, str(ROOT / 'tools/analysis_tools'))

import benchmark  # noqa: E402
import benchmark_meters as meters  # noqa: E402
import benchmark_runs as runs  # noqa: E402

CONFIG = str(ROOT / 'configs/afa/afa_mit-b0_voc.py')
CPU = torch.device('cpu')


def cells(printed):
    return [[cell.strip() for cell in line.split('|')[1:-1]]
            for line in printed.splitlines()]


def test_report(tmp_path, capsys, monkeypatch):
    """All measurements of a config, their file, and its comparison."""
    monkeypatch.setattr(meters, 'MIN_SECONDS', 0.)
    monkeypatch.setattr(runs, 'NUM_IMAGES', 8)
    root, out = write_voc(tmp_path / 'voc'), str(tmp_path / 'report.json')
    benchmark.main([
        CONFIG, '--measure', 'classify', 'cam', 'refined', 'inference', 'par',
        'loader', '--steps', '1', '--crop', '32', '--batch', '2', '--workers',
        '0', '1', '--json', out, '--cfg-options',
        f'train_dataloader.dataset.data_root={root}'
    ])
    MessageHub.get_current_instance().update_info('iter', 0)
    printed = cells(capsys.readouterr().out)
    assert ['', 'classify', 'cam', 'refined'] in printed
    assert ['iterations', '2,001', '4,000', '13,999'] in printed
    report = benchmark.read_report(out)
    phases = classify, cam, affinity = list(report['training'].values())
    for phase in phases:
        assert sum(phase['part_ms'].values()) == pytest.approx(
            1000 * phase['seconds'])
        assert phase['images_per_second'] == 2 / phase['seconds']
        assert phase['peak_gb'] > 0.1
    parts = [set(phase['part_ms']) for phase in phases]
    assert parts[0] == {
        'normalisation', 'backbone', 'losses', 'backward', 'optimizer', 'other'
    }
    assert parts[1] - parts[0] == {
        'CAM passes', 'PAR', 'affinity head', 'decode head'
    }
    assert parts[2] - parts[1] == {'random walk'}
    # three passes there; here the decoder and seven passes more
    assert 10 / 3 < cam['tflop'] / classify['tflop'] < 6
    assert report['schedule']['hours'] == pytest.approx(
        (2001 * classify['seconds'] + 4000 * cam['seconds'] +
         13999 * affinity['seconds']) / 3600)
    assert 0 < report['inference']['tflop'] < classify['tflop']
    parameters = report['million_parameters']
    assert parameters['backbone'] == pytest.approx(3.32, abs=0.01)
    loader = report['loader']
    assert set(loader['images_per_second']) == {'0 workers', '1 workers'}
    assert set(loader['part_ms']) == {
        'LoadWeakImage', 'RandomScale', 'RandomFlip', 'WeakRandomCrop',
        'PackWeakSegInputs', 'other'
    }

    cam['seconds'] /= 2
    report['loader']['images_per_second']['1 workers'] *= 4
    report['settings']['batch'] = 4
    report['par'] = dict(new=1234)
    after = tmp_path / 'after.json'
    after.write_text(json.dumps(report))
    benchmark.main(['--compare', out, str(after)])
    printed = capsys.readouterr().out
    assert printed.startswith('batch: 2 -> 4\n\n')
    ratios = {row[0]: row[3] for row in cells(printed)[4:]}
    assert ratios == {
        'loader images_per_second 1 workers': '4',
        'training cam seconds': '2',
        'par new': '-',
        'par seconds': '-',
        'par published_seconds': '-'
    }
    assert ['par new', '-', '1,234', '-'] in cells(printed)


def test_report_without_phases():
    report = dict(settings=dict(batch=2), training={}, par=dict(seconds=3.))
    assert cells(benchmark.report_text(report))[2:] == [['', ''], ['---'] * 2,
                                                        ['par seconds', '3']]


@pytest.mark.parametrize('argv, message', [
    ([], 'give a config, or --compare'),
    ([CONFIG, '--compare', 'a', 'b'], 'give a config, or --compare'),
    (['--compare', CONFIG, CONFIG], f'{CONFIG}: not a report'),
    (['--compare', 'nowhere', CONFIG], "'nowhere'"),
    ([CONFIG, '--measure', 'loader'], 'no such image list'),
])
def test_bad_arguments(argv, message, capsys):
    with pytest.raises(SystemExit) as error:
        benchmark.main(argv)
    assert message in f'{error.value}{capsys.readouterr().err}'


class Work:
    now = 0.

    def outer(self):
        self.now += 1
        self.inner()

    def inner(self):
        self.now += 10


def test_parts_sum_to_the_step(monkeypatch):
    work, timer = Work(), meters.PartTimer(CPU)
    monkeypatch.setattr(meters.time, 'perf_counter', lambda: work.now)
    timer.wrap(work, 'outer', 'outer')
    timer.wrap(work, 'inner', 'inner')

    def step(other):
        work.outer()
        work.inner()
        work.now += other

    work.outer()  # outside of a step
    for other in (100, 900, 0, 102):  # the longest and the shortest are left
        timer.step(lambda: step(other))
    assert timer.results() == dict(other=101e3, outer=11e3, inner=10e3)


@pytest.mark.parametrize('groups', [1, 6])
@pytest.mark.parametrize('first_layer', [True, False])
def test_flops_of_a_convolution(groups, first_layer):
    conv = torch.nn.Conv2d(6, 6, 3, padding=1, groups=groups)
    image = torch.randn(2, 6, 5, 4, requires_grad=not first_layer)
    tflop = meters.count_tflop(lambda: conv(image).sum().backward())
    forward = 2 * 2 * 5 * 4 * 6 * 6 // groups * 9
    assert tflop * 1e12 == pytest.approx(forward * (2 if first_layer else 3))


def test_flops_of_an_attention_block():
    block = torch.nn.Linear(8, 24)
    tokens = torch.randn(2, 4, 7, 8)

    def attend():
        return F.scaled_dot_product_attention(*block(tokens).chunk(3, -1))

    product, linear = 2 * 2 * 4 * 7 * 7 * 8, 2 * 2 * 4 * 7 * 8 * 24
    forward = meters.count_tflop(attend)
    both = meters.count_tflop(lambda: attend().sum().backward())
    assert forward * 1e12 == pytest.approx(2 * product + linear)
    # backward four products and the logits once more, and the weight
    assert both * 1e12 == pytest.approx(7 * product + 2 * linear)


def test_both_ways_of_par_agree():
    par = PAR(num_iter=3, dilations=(1, 4))
    image, masks = torch.rand(2, 3, 9, 12), torch.rand(2, 4, 9, 12)
    assert torch.allclose(
        runs.published_par(par, image, masks), par(image, masks), atol=1e-5)


def test_peak_memory_begins_anew():
    ballast = torch.ones(25 * 10**7)  # 1 GB: other tests' garbage is smaller
    with_ballast = meters.peak_gb(CPU)
    del ballast
    meters.reset_peak(CPU)
    assert 0.1 < meters.peak_gb(CPU) < with_ballast - 0.5
