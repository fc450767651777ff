# Copyright (c) mmseg_afa contributors. All rights reserved.
import json

import pytest

from tests.test_reference.reference import ROOT
from tools.analysis_tools import benchmark

CONFIG = str(ROOT / 'configs/afa/afa_mit-b0_demo.py')


def test_report(tmp_path, capsys):
    """A whole report, its file, and its comparison with itself."""
    out = str(tmp_path / 'report.json')
    benchmark.main([
        CONFIG, '--steps', '1', '--warmup', '1', '--crop', '32', '--batch',
        '2', '--synthetic', '--out', out, '--batches', '1'
    ])
    printed = capsys.readouterr().out
    assert 'data: random crops in memory' in printed
    with open(out) as file:
        report = json.load(file)
    assert [p['phase']
            for p in report['training']] == ['classify', 'cam', 'affinity']
    classify, cam, affinity = report['training']
    assert 'PAR' not in classify['parts'] and cam['parts']['PAR'] > 0
    assert 'random walk' not in cam['parts']
    assert affinity['parts']['random walk'] > 0
    # three passes there; here the decoder and seven passes more
    assert 10 / 3 < cam['tflop'] / classify['tflop'] < 6
    for phase in report['training']:
        parts = [v for k, v in phase['parts'].items() if k != 'step']
        assert sum(parts) == pytest.approx(phase['parts']['step'], rel=1e-3)
        assert phase['peak_memory'] > 1e8
    assert set(report['projected']) == {'VOC 2012', 'COCO 2014'}
    cell, = report['growth']['batch']
    assert cell['batch'] == 1 and cell['seconds'] > 0
    assert report['inference']['images_per_second'] > 0

    benchmark.main(['--compare', out, out])
    assert '| cam, PAR, s' in capsys.readouterr().out


@pytest.mark.parametrize('argv', [[], [CONFIG, '--compare', 'a', 'b']])
def test_config_or_comparison(argv, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(argv)
    assert 'give a config, or --compare' in capsys.readouterr().err
