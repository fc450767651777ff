# Copyright (c) mmseg_afa contributors. All rights reserved.
import json

import pytest
import torch
from mmengine.logging import MessageHub

from tests.test_datasets.voc_folder import write_voc
from tests.test_reference.reference import ROOT
from tools.analysis_tools import benchmark

CONFIG = str(ROOT / 'configs/afa/afa_mit-b0_voc.py')
SMALL = ('--steps', '1', '--crop', '32', '--batch', '2')


def run(tmp_path, *options):
    """Run the tool, and return its report."""
    out = tmp_path / 'report.json'
    benchmark.main([CONFIG, *SMALL, '--json', str(out), *options])
    MessageHub.get_current_instance().update_info('iter', 0)
    return json.loads(out.read_text())


def test_report(tmp_path, capsys, monkeypatch):
    """Measure all of a config: phases, hours, inference and loader."""
    monkeypatch.setattr(benchmark, 'NUM_IMAGES', 8)
    root = write_voc(tmp_path / 'voc')
    report = run(tmp_path, '--measure', 'classify', 'cam', 'refined',
                 'inference', 'loader', '--workers', '0', '1', '--cfg-options',
                 f'train_dataloader.dataset.data_root={root}')
    rows = report['rows']
    assert list(rows) == [
        'classify', 'cam', 'refined', 'inference', 'loader, 0 workers',
        'loader, 1 workers'
    ]
    iterations = [row.get('iterations') for row in rows.values()]
    assert iterations == [2001, 4000, 13999, None, None, None]
    for row in rows.values():
        assert row['images_per_second'] == pytest.approx(2 / row['seconds'])
    for name in ('classify', 'cam', 'refined', 'inference'):
        assert rows[name]['gb'] > 0.1
    assert rows['classify']['seconds'] < rows['refined']['seconds']
    assert report['schedule_hours'] * 3600 == pytest.approx(
        sum(row['iterations'] * row['seconds']
            for row in list(rows.values())[:3]))
    assert report['settings']['batch'] == 2
    assert report['settings']['crop'] == '32 x 32'
    printed = capsys.readouterr().out
    assert ' GB, 4,000 iterations\nrefined: ' in printed
    assert '\nschedule: ' in printed and ' hours\n' in printed


def test_mixed_precision_of_one_phase(tmp_path, monkeypatch, capsys):
    """Use the CPU's own wrapper; one phase gives no hours."""
    monkeypatch.setattr('mmseg_afa.engine.launch.cpu_has_bfloat16',
                        lambda: True)
    report = run(tmp_path, '--measure', 'classify', '--amp', 'bfloat16')
    wrapper = report['settings']['optim_wrapper']
    assert wrapper == 'BFloat16OptimWrapper'
    assert list(report['rows']) == ['classify'
                                    ] and 'schedule_hours' not in report
    assert 'hours' not in capsys.readouterr().out


@pytest.mark.parametrize('options, message', [
    (['nowhere.py'], 'nowhere.py: no such config file'),
    ([CONFIG, '--measure', 'loader'], 'no such image list'),
])
def test_wrong_paths(options, message):
    with pytest.raises(SystemExit, match=message):
        benchmark.main([*options, *SMALL])


def test_peak_memory_restarts():
    ballast = torch.ones(25 * 10**7)  # 1 GB
    with_ballast = benchmark.peak_gb()
    del ballast
    benchmark.reset_peak()
    assert 0.1 < benchmark.peak_gb() < with_ballast - 0.5
