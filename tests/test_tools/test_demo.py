# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
from pathlib import Path

from mmengine.config import Config

from tools.demo import demo


def test_stored_baseline():
    """The README's figures are those of the file, whose command exists."""
    stored = json.loads(demo.BASELINE.read_text())
    assert stored['command'] == demo.BASELINE_COMMAND
    assert (demo.ROOT / demo.BASELINE_COMMAND.split()[1]).is_file()
    assert {key
            for _, key in demo.SCORES} - set(stored['scores']) == {
                'affinity_cam_given_tags/mIoU'
            }
    readme = (demo.ROOT / 'README.md').read_text()
    assert f'| {stored["scores"]["mIoU"]:.1f} |\n' in readme


def test_baseline_is_the_same_network():
    """Without affinity and PAR, and otherwise alike."""
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
    text = demo.table({'mIoU': 74.09, 'image_label/F1': 98.5}, {'mIoU': 66.5})
    lines = text.splitlines()
    assert lines[2] == '| segmentation mIoU | 74.1 | 66.5 |'
    assert lines[4] == '| affinity CAM mIoU, given the tags | – | – |'
    assert lines[5] == '| classification F1 | 98.5 | – |'


def test_runs_tools_that_exist(monkeypatch, capsys):
    commands = []
    monkeypatch.setattr(demo, 'run', lambda *command: commands.append(command))
    monkeypatch.setattr(
        demo.Path, 'read_text', lambda _: '{"scores": {}, '
        '"command": "python demo.py"}')
    monkeypatch.setattr(demo, 'evaluate', lambda *_: {'mIoU': 74.09})
    monkeypatch.setattr('sys.argv', ['demo.py'])
    monkeypatch.chdir(demo.ROOT)  # as main does, and back
    demo.main()
    assert [Path(command[0]).stem for command in commands
            ] == ['make_demo_data', 'train', 'prediction_sheet']
    assert all((demo.ROOT / command[0]).is_file() for command in commands)
    assert '| segmentation mIoU | 74.1 | – |' in capsys.readouterr().out
