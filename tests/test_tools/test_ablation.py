# Copyright (c) mmseg_afa contributors. All rights reserved.
import json

import cv2
import pytest
import torch
from mmengine.config import Config

from mmseg_afa.datasets.mask_file import tags_in_mask
from tests.test_tools.run_tool import ROOT, run_here
from tools import predict, test, train
from tools.analysis_tools import ablation
from tools.demo.make_demo_data import CLASSES, write_dataset

TOOLS = {'train.py': train, 'test.py': test, 'predict.py': predict}
SMALL_REACH = f"""
_base_ = ['{ROOT}/configs/afa/afa_mit-b0_demo.py']
model = dict(labeler=dict(refiner=dict(dilations=(1, 2))))
"""
SUPERVISED = f"""
_base_ = ['{ROOT}/configs/afa/segformer_mit-b0_demo_pseudo-labels.py']
train_dataloader = dict(
    dataset=dict(data_prefix=dict(seg_map_path='SegmentationClassAug')))
val_evaluator = [dict(type='WeakIoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator
"""


@pytest.fixture
def overrides(tmp_path):
    """Of eight steps on four scenes of the demo, that all have masks."""
    root = tmp_path / 'data'
    write_dataset(root, dict(seed=0, size=64, train=1, val=4), 1)
    lists = root / 'ImageSets/Segmentation'
    names = (lists / 'val.txt').read_text().split()
    lines = [f'# {",".join(CLASSES)}']
    for name in names:
        mask = cv2.imread(str(root / f'SegmentationClassAug/{name}.png'), 0)
        lines.append(f'{name}: {",".join(tags_in_mask(mask, CLASSES))}')
    (root / 'image_labels.txt').write_text('\n'.join(lines) + '\n')
    (lists / 'trainaug.txt').write_text('\n'.join(names) + '\n')
    return {
        **{
            f'{split}_dataloader.dataset.data_root': str(root)
            for split in ('train', 'val', 'test')
        },
        'train_dataloader.batch_size': 2,
        'train_cfg.max_iters': 6,
        'auto_scale_lr': None,
        'model.train_cfg.cam_iters': 2,
        'model.train_cfg.switch_iter': 3,
    }


@pytest.fixture
def commands(monkeypatch):
    """What was started, in this process."""
    commands = []

    def run(tool, *arguments):
        commands.append((tool, *map(str, arguments)))
        at = arguments.index('--cfg-options')
        arguments, options = arguments[:at], list(map(str, arguments[at + 1:]))
        if tool == 'predict.py':
            predict.main([*map(str, arguments), '--cfg-options', *options])
        else:
            run_here(TOOLS[tool].main, folder_of(arguments), options,
                     *arguments)

    monkeypatch.setattr(ablation, 'run', run)
    return commands


def folder_of(arguments):
    """The work folder of a command."""
    return arguments[arguments.index('--work-dir') + 1]


def test_rows(tmp_path, overrides, commands):
    """All rows of a seed; what is done is not done again."""
    (tmp_path / 'afa.py').write_text(SMALL_REACH)
    (tmp_path / 'supervised.py').write_text(SUPERVISED)
    out = tmp_path / 'out'
    arguments = [
        str(tmp_path / 'afa.py'), '--supervised',
        str(tmp_path / 'supervised.py'), '--out',
        str(out), '--seeds', '3', '--cfg-options',
        *(f'{key}={value}' for key, value in overrides.items())
    ]
    ablation.main(arguments)
    table = json.loads((out / 'ablation.json').read_text())
    assert list(table) == [row.title for row in ablation.ROWS]
    with_crf = ablation.find_spec('pydensecrf') is not None
    for title, scores in table.items():
        assert list(scores) == ['3'] or ('CRF' in title and not with_crf)
        assert all(0 < score < 100 for score in scores.values())
    assert '| segmentation, AFA | ' in (out / 'ablation.md').read_text()
    trained = [c for c in commands if c[0] == 'train.py']
    assert len(trained) == len(ablation.TRAININGS) + 2
    reach = {
        test:
        max(
            Config.fromfile(
                out /
                f'seed_3/afa/{test}/afa.py').model.labeler.refiner.dilations)
        for test in ('val', 'par')
    }
    assert reach == dict(val=2, par=24)
    commands.clear()
    ablation.main(arguments)
    assert not commands


def test_rows_share_the_classification(tmp_path, overrides, commands):
    """A row that went on from AFA's checkpoint is what it is from the start,
    and its affinity head has learned nothing."""
    config = str(ROOT / 'configs/afa/afa_mit-b0_demo.py')
    seed = ablation.Seed(tmp_path / 'seed', 0, dict(afa=config), overrides, 96)
    seed.train('afa', 'afa', {'default_hooks.checkpoint.interval': 3})
    row = ablation.TRAININGS['cam']
    branched = seed.train('cam', 'afa', row, seed.branch())
    alone = seed.train('alone', 'afa', row)
    start, branched, alone = (
        torch.load(path, weights_only=False)['state_dict']
        for path in (seed.branch(), branched, alone))
    for name, value in alone.items():
        assert torch.equal(branched[name], value), name
        if name == 'affinity_head.proj.bias':  # weights decay
            assert torch.allclose(value, start[name], rtol=1e-3)


def test_markdown():
    text = ablation.to_markdown({'a': {'0': 1., '1': 4.}, 'b': {'1': 2.}})
    assert text.splitlines()[2:] == [
        '| a | 1.0 | 4.0 | 2.5 | 2.1 |', '| b | – | 2.0 | 2.0 | – |'
    ]
