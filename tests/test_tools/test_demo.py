# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
from pathlib import Path

import pytest
from mmengine.config import Config

from tools.demo import demo


def test_stored_scores():
    """Compare the README's figures with the file."""
    stored = json.loads(demo.STORED.read_text())
    assert {
        name: row['command']
        for name, row in stored.items()
    } == demo.COMMANDS
    scores = stored['baseline']['scores']
    assert demo.SCORES.keys() - scores == {'affinity_cam_given_tags/mIoU'}
    readme = (demo.ROOT / 'README.md').read_text()
    assert f' {scores["mIoU"]:.1f} % without affinity and PAR' in readme


def test_baseline_is_the_same_network():
    """Compare with the demo's network: only affinity and PAR are missing."""
    afa = Config.fromfile(demo.CONFIG)
    baseline = Config.fromfile(demo.BASELINE_CONFIG)
    assert baseline.model.affinity_head is None
    assert baseline.model.labeler.refiner is None
    for key in ('backbone', 'decode_head', 'train_cfg'):
        assert baseline.model[key] == afa.model[key]
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg',
                'train_dataloader'):
        assert baseline[key] == afa[key]


def test_table():
    text = demo.table({
        'mIoU': 74.09,
        'image_label/F1': 98.5
    }, {'mIoU': 66.5}, {'mIoU': 75.})
    lines = text.splitlines()
    assert lines[2] == '| segmentation mIoU | 74.1 | 66.5 |'
    assert lines[3] == f'| {demo.SECOND_STAGE} | 75.0 | – |'
    assert lines[5] == '| affinity CAM mIoU, given the tags | – | – |'
    assert lines[6] == '| classification F1 | 98.5 | – |'


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Collect the tools that the demo starts, and run none of them."""
    commands = []
    monkeypatch.setattr(demo, 'run', lambda *command: commands.append(command))
    monkeypatch.setattr(demo, 'evaluate', lambda *_: {'mIoU': 74.09})
    stored = tmp_path / 'scores.json'
    stored.write_text(demo.STORED.read_text())
    monkeypatch.setattr(demo, 'STORED', stored)
    monkeypatch.setattr(demo, 'PSEUDO_LABELS', tmp_path / 'pseudo_labels')
    monkeypatch.setattr(demo, 'work_dir', lambda config: tmp_path)
    monkeypatch.chdir(demo.ROOT)  # as main does, and back
    return commands


def stems(commands):
    assert all((demo.ROOT / command[0]).is_file() for command in commands)
    return [Path(command[0]).stem for command in commands]


@pytest.mark.parametrize('device, amp', [('cpu', True), ('cuda', False)])
def test_demo(monkeypatch, tmp_path, commands, capsys, device, amp):
    monkeypatch.setattr('mmengine.device.get_device', lambda: device)
    (tmp_path / 'last_checkpoint').write_text('iter.pth')
    demo.main([])
    assert stems(commands) == ['make_demo_data', 'train', 'prediction_sheet']
    assert ('--amp' in commands[1]) == amp
    printed = capsys.readouterr().out
    stored = json.loads(demo.STORED.read_text())['baseline']['scores']['mIoU']
    assert f'| segmentation mIoU | 74.1 | {stored:.1f} |' in printed
    assert all(command in printed for command in demo.COMMANDS.values())


@pytest.mark.parametrize('option, name, tools', [
    ('--baseline', 'baseline', ['train']),
    ('--second-stage', 'second_stage', ['predict', 'train']),
])
def test_stored_results(tmp_path, commands, option, name, tools):
    (tmp_path / 'last_checkpoint').write_text('iter.pth')
    demo.main([option])
    assert stems(commands) == ['make_demo_data', *tools]
    stored = json.loads(demo.STORED.read_text())
    assert stored[name]['scores'] == {'mIoU': 74.09}
    assert set(stored) == set(demo.COMMANDS)


def test_second_stage_needs_the_first(commands):
    with pytest.raises(SystemExit, match='run `make demo` before'):
        demo.main(['--second-stage'])
    assert stems(commands) == ['make_demo_data']


def test_second_stage_learns_from_what_is_predicted():
    cfg = Config.fromfile(demo.SECOND_STAGE_CONFIG)
    dataset = cfg.train_dataloader.dataset
    assert (demo.ROOT / dataset.data_root /
            dataset.data_prefix.seg_map_path == demo.PSEUDO_LABELS /
            'refined_label')
    assert cfg.val_dataloader.dataset.data_prefix.seg_map_path == (
        'SegmentationClassAug')
