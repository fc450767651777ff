# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
from pathlib import Path

import pytest
from mmengine.config import Config

from tools.demo import demo

CONFIGS = demo.ROOT / 'configs/afa'


def test_stored_scores():
    """Compare the README's figures with the file."""
    scores = json.loads(demo.STORED.read_text())['baseline']['scores']
    assert demo.SCORES.keys() - scores == {'affinity_cam_given_tags/mIoU'}
    readme = (demo.ROOT / 'README.md').read_text()
    assert f' {scores["mIoU"]:.1f} % without affinity and PAR' in readme


def test_baseline_is_the_same_network():
    """Compare with the demo's network: only affinity and PAR are missing."""
    afa = Config.fromfile(demo.CONFIG)
    baseline = Config.fromfile(CONFIGS / 'afa_mit-b0_demo-no-affinity.py')
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


@pytest.mark.parametrize('device, amp', [('cpu', True), ('cuda', False)])
def test_demo(monkeypatch, tmp_path, capsys, device, amp):
    """Collect the tools that the demo starts, and run none of them."""
    commands = []
    monkeypatch.setattr('mmengine.device.get_device', lambda: device)
    monkeypatch.setattr(demo, 'run', lambda *command: commands.append(command))
    monkeypatch.setattr(demo, 'evaluate', lambda _: {'mIoU': 74.09})
    monkeypatch.setattr(demo, 'WORK_DIR', tmp_path)
    (tmp_path / 'last_checkpoint').write_text('iter.pth')
    monkeypatch.chdir(demo.ROOT)  # as main does, and back
    demo.main([])
    assert all((demo.ROOT / command[0]).is_file() for command in commands)
    stems = [Path(command[0]).stem for command in commands]
    assert stems == ['make_demo_data', 'train', 'prediction_sheet']
    assert ('--amp' in commands[1]) == amp
    stored = json.loads(demo.STORED.read_text())['baseline']['scores']['mIoU']
    assert f'| segmentation mIoU | 74.1 | {stored:.1f} |' in (
        capsys.readouterr().out)


def test_second_stage_learns_from_what_is_predicted():
    cfg = Config.fromfile(CONFIGS / 'segformer_mit-b0_demo_pseudo-labels.py')
    *_, predict, _ = json.loads(
        demo.STORED.read_text())['second_stage']['commands']
    dataset = cfg.train_dataloader.dataset
    masks = Path(dataset.data_root, dataset.data_prefix.seg_map_path)
    assert f'--source {masks.name} --out {masks.parent}' in predict
    assert cfg.val_dataloader.dataset.data_prefix.seg_map_path == (
        'SegmentationClassAug')
