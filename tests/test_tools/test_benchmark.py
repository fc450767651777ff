# Copyright (c) mmseg_afa contributors. All rights reserved.
import re

import pytest
import torch
from mmengine.logging import MessageHub

from tests.test_datasets.voc_folder import write_voc
from tests.test_reference.reference import ROOT
from tools.analysis_tools import benchmark

CONFIG = str(ROOT / 'configs/afa/afa_mit-b0_voc.py')
SMALL = ('--steps', '1', '--crop', '32', '--batch', '2')


def run(*options):
    benchmark.main([CONFIG, *SMALL, *options])
    MessageHub.get_current_instance().update_info('iter', 0)


def test_report(tmp_path, capsys, monkeypatch):
    """Measure all of a config: phases, hours, inference and loader."""
    monkeypatch.setattr(benchmark, 'NUM_IMAGES', 8)
    root = write_voc(tmp_path / 'voc')
    run('--measure', 'classify', 'cam', 'refined', 'inference', 'loader',
        '--cfg-options', f'train_dataloader.dataset.data_root={root}',
        'train_dataloader.num_workers=1')
    printed = capsys.readouterr().out
    assert 'afa_mit-b0_voc.py: batch 2, crop 32 x 32, ' in printed
    rows = re.findall(r'^(\w+): (\S+) s a step, (\S+) images .*, (\S+) GB',
                      printed, re.M)
    names, *columns = zip(*rows)
    seconds, speeds, memory = [list(map(float, values)) for values in columns]
    assert names == ('classify', 'cam', 'refined', 'inference')
    assert speeds == pytest.approx([2 / value for value in seconds], rel=1e-3)
    assert seconds[0] < seconds[2] and min(memory) > 0.1
    kernels = re.findall(r'^(\w+): (\S+) kernels a step$', printed, re.M)
    assert [name for name, _ in kernels] == ['classify', 'cam', 'refined']
    counts = [int(count.replace(',', '')) for _, count in kernels]
    assert 400 < counts[0] < counts[1] < counts[2] < 4000
    hours = re.search(r'schedule of 20,000 iterations: (\S+) hours', printed)
    assert float(hours[1]) * 3600 == pytest.approx(
        2001 * seconds[0] + 4000 * seconds[1] + 13999 * seconds[2], rel=1e-2)
    assert re.search(r'loader, 1 workers: \S+ images a second', printed)


def test_mixed_precision_of_one_phase(monkeypatch, capsys):
    """Use the CPU's own wrapper; one phase gives no hours."""
    monkeypatch.setattr('mmseg_afa.engine.launch.cpu_has_bfloat16',
                        lambda: True)
    run('--measure', 'classify', '--amp', 'bfloat16')
    printed = capsys.readouterr().out
    assert 'BFloat16OptimWrapper' in printed
    assert 'classify' in printed and 'hours' not in printed


def test_wrong_path():
    with pytest.raises(SystemExit, match='no such image list'):
        run('--measure', 'loader')


def test_peak_memory_restarts():
    ballast = torch.ones(25 * 10**7)  # 1 GB
    with_ballast = benchmark.peak_gb()
    del ballast
    benchmark.reset_peak()
    assert 0.1 < benchmark.peak_gb() < with_ballast - 0.5
