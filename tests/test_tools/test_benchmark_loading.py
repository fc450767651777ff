# Copyright (c) mmseg_afa contributors. All rights reserved.
import json

import pytest

from tests.test_datasets.voc_folder import write_voc
from tests.test_reference.reference import ROOT
from tools.analysis_tools import benchmark_loading

CONFIG = str(ROOT / 'configs/afa/afa_mit-b1_voc.py')


def test_report(tmp_path, capsys):
    root = write_voc(tmp_path / 'voc')
    out = tmp_path / 'out.json'
    benchmark_loading.main([
        CONFIG, '--num', '8', '--workers', '0', '1', '--profile', '5', '--out',
        str(out), '--cfg-options', f'train_dataloader.dataset.data_root={root}'
    ])
    printed = capsys.readouterr().out
    assert 'images/s on one core' in printed and 'tottime' in printed
    found = json.loads(out.read_text())
    assert list(found['parts']) == [
        'other', 'LoadWeakImage', 'RandomScale', 'RandomFlip',
        'WeakRandomCrop', 'PackWeakSegInputs'
    ]
    # the parts are what the loop does, and it does nothing else
    assert sum(found['parts'].values()) <= 1 / found['images_per_second']
    assert sum(found['parts'].values()) > 0.5 / found['images_per_second']
    assert set(found['workers']) == {'0', '1'}
    assert all(speed > 0 for speed in found['workers'].values())


def test_no_data(tmp_path):
    with pytest.raises(SystemExit, match='no such image list'):
        benchmark_loading.main([
            CONFIG, '--cfg-options',
            f'train_dataloader.dataset.data_root={tmp_path}'
        ])
