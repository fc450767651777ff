# Copyright (c) mmseg_afa contributors. All rights reserved.
import shutil

import cv2
import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_leaves

from mmseg_afa.engine.background_scores import choose_images
from mmseg_afa.visualization import WeakSegLocalVisualizer
from tests.test_tools.run_tool import run_here
from tools import train
from tools.analysis_tools import background_scores as tool
from .test_resumable_checkpoint_hook import CONFIG

HOOK = "custom_hooks = [dict(type='BackgroundScoreHook', num_images=4)]"


@pytest.fixture(scope='module')
def root(tmp_path_factory, data_root):
    """Give two images trusted masks."""
    root = tmp_path_factory.mktemp('root') / 'data'
    shutil.copytree(data_root, root)
    (root / 'trusted').mkdir()
    for stem in '03':
        mask = np.zeros((64, 64), np.uint8)
        mask[:, 32:] = int(stem) % 5 + 1
        cv2.imwrite(str(root / f'trusted/{stem}.png'), mask)
    return root


@pytest.fixture(scope='module')
def config(root):
    text = CONFIG.format(data_root=str(root)).replace(
        "dataset=dict(", "dataset=dict(trusted_masks='trusted', ")
    for name, hooks in (('plain', ''), ('hooked', HOOK)):
        (root.parent / f'{name}.py').write_text(
            text.replace('custom_hooks = []', hooks))
    return root.parent


@pytest.fixture(scope='module')
def hooked(config):
    """Train for six iterations, of which two are classification."""
    sheets = []
    draw_sheet = WeakSegLocalVisualizer.draw_sheet
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            WeakSegLocalVisualizer, 'draw_sheet', lambda *args:
            (sheets.append(args[1:]), draw_sheet(*args))[1])
        log = run_here(train.main, config / 'hooked', OPTIONS,
                       config / 'hooked.py')
    return log, sheets


OPTIONS = ['train_cfg.max_iters=6']


def leaves(folder):
    state = torch.load(folder / 'iter_6.pth', weights_only=True)
    return tree_leaves([
        state[key]
        for key in ('state_dict', 'optimizer', 'run', 'param_schedulers')
        if key in state
    ])


def assert_same(folder, other):
    first, second = leaves(folder), leaves(other)
    assert len(first) == len(second)
    for a, b in zip(first, second):
        same = torch.equal(a, b) if torch.is_tensor(a) else np.array_equal(
            a, b)
        assert same


def test_training_is_not_disturbed(config, hooked, tmp_path):
    run_here(train.main, tmp_path, OPTIONS, config / 'plain.py')
    assert_same(config / 'hooked', tmp_path)
    names = {path.name for path in (config / 'hooked').iterdir()}
    # only the newest checkpoint is kept beside it
    assert {'background_scores.png', 'classification.pth',
            'iter_6.pth'} <= names
    assert 'iter_4.pth' not in names


def test_resume(config, hooked, tmp_path):
    """End as the uninterrupted run; another pair has an effect."""
    saved = config / 'hooked/classification.pth'
    for folder, options in (('same', []), ('other', [
            'model.labeler.bkg_high=0.4', 'model.labeler.bkg_low=0.3'
    ])):
        run_here(train.main, tmp_path / folder, [*OPTIONS, *options],
                 config / 'hooked.py', '--resume', saved)
        assert not (tmp_path / folder / 'background_scores.png').exists()
    assert_same(tmp_path / 'same', config / 'hooked')
    with pytest.raises(AssertionError):
        assert_same(tmp_path / 'other', config / 'hooked')


def test_sheet_and_log(config, hooked):
    log, ((rows, captions, *_), ) = hooked
    # two images show a cat
    assert captions == [
        '1.jpg: cow', '2.jpg: dog', '3.jpg: bird', '4.jpg: fish'
    ]
    pairs = ['0.45, 0.25', '0.55, 0.35', '0.65, 0.45 (in use)', '0.75, 0.55']
    assert all(list(row) == ['image', 'CAM', *pairs] for row in rows)
    assert 'of 2 masks: 0.45, 0.25: ' in log
    assert (f'--resume {config}/hooked/classification.pth --cfg-options '
            'model.labeler.bkg_high=H') in log


def test_choose_images():
    """Show each class, the rarest first, then spread over the tagged ones."""
    labels = np.zeros((20, 3), int)
    labels[:, 0] = 1
    labels[7, 1] = labels[[3, 7, 9], 2] = 1
    labels[15:] = 0
    assert choose_images(labels, 1) == [7]
    assert choose_images(labels, 4) == [0, 4, 7, 10]
    assert choose_images(labels, 99) == list(range(15))


def test_mistakes(config, tmp_path):
    with pytest.raises(SystemExit, match='needs an AFA, a WeakLabelDataset'):
        run_here(train.main, tmp_path,
                 [*OPTIONS, 'default_hooks.checkpoint.type=CheckpointHook'],
                 config / 'hooked.py')
    with pytest.raises(SystemExit, match='HIGH,LOW with 0 <= LOW'):
        tool.main(['c', 'd', '--pairs', '0.3,0.5'])


def test_tool(config, hooked, tmp_path, capsys):
    out = tmp_path / 'sheet.png'
    tool.main([
        str(config / 'hooked.py'),
        str(config / 'hooked/classification.pth'), '--pairs', '0.7,0.2',
        '--out',
        str(out), '--num', '2'
    ])
    assert out.exists()
    assert '0.65, 0.45 (in use): ' in capsys.readouterr().out
