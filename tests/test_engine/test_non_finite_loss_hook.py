# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.runner import Runner

from mmseg_afa.engine.hooks import non_finite_loss_hook as room
from tests.test_tools.run_tool import ROOT, run_here
from tools import train

# Every iteration is saved; the custom hooks of the demo are replaced, and the
# hook is there all the same.
CONFIG = """
_base_ = ['mmseg_afa::afa/afa_mit-b0_demo.py']
custom_imports = dict(
    imports=['mmseg_afa', 'tests.test_engine.spoil_hook'],
    allow_failed_imports=False)
model = dict(train_cfg=dict(cam_iters=1, switch_iter=3))
train_cfg = dict(max_iters=6)
auto_scale_lr = None
train_dataloader = dict(batch_size=3, dataset=dict(data_root={data_root!r}))
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
default_hooks = dict(checkpoint=dict(interval=1, save_best=None))
custom_hooks = [dict(type='SpoilHook', **{spoil})]
"""


def write_config(tmp_path, data_root, **spoil):
    # training writes it whole to the work folder, under the same name
    path = tmp_path / 'config' / 'spoilt.py'
    path.parent.mkdir()
    path.write_text(CONFIG.format(data_root=str(data_root), spoil=spoil))
    return path


def stopped(tmp_path, config) -> str:
    """The message that a training stops with."""
    with pytest.raises(SystemExit) as stop:
        run_here(train.main, tmp_path, [], config)
    return stop.value.code


@pytest.mark.parametrize('iteration, phase, parameter, expected', [
    (1, 'classify', 'decode_head.classifier.weight', 'decode.loss_cls'),
    (3, 'cam', 'decode_head.conv_seg.bias', 'decode.loss_seg'),
    (5, 'refined', 'decode_head.conv_seg.bias', 'decode.loss_seg'),
])
def test_stops_before_the_checkpoint(tmp_path, data_root, iteration, phase,
                                     parameter, expected):
    """And the step that is kept is the step that was taken."""
    config = write_config(
        tmp_path, data_root, iteration=iteration, parameter=parameter)
    message = stopped(tmp_path, config)
    name = f'non_finite_iter_{iteration + 1}'
    assert f'Iteration {iteration + 1} ({phase})' in message
    assert f'{expected} is nan' in message
    assert f'{tmp_path / name}.json' in message
    assert (tmp_path / f'iter_{iteration}.pth').exists()
    assert not (tmp_path / f'iter_{iteration + 1}.pth').exists()

    text = (tmp_path / f'{name}.json').read_text()
    report = json.loads(text, parse_constant=pytest.fail)
    assert (report['iteration'], report['phase']) == (iteration + 1, phase)
    assert report['losses'][expected] == 'nan'
    assert len(report['images']) == 3
    for image in report['images']:
        assert os.path.exists(image['img_path'])
        assert len(image['img_box']) == 4 and 'flip' in image

    # as docs/troubleshooting.md says, from what lies in the work folder
    runner = Runner.from_cfg(Config.fromfile(tmp_path / 'spoilt.py'))
    runner.load_checkpoint(str(tmp_path / 'before.pth'))
    losses = room.replay(runner.model, str(tmp_path / f'{name}.pth'))
    _, logged = runner.model.parse_losses(losses)
    assert set(report['losses']) == {n for n in logged if 'loss' in n}
    for loss, value in report['losses'].items():
        if value == 'nan':
            assert math.isnan(logged[loss])
        else:  # dropout and drop path as they were
            assert logged[loss].item() == value


def test_a_finite_run_leaves_nothing(tmp_path, data_root):
    config = write_config(
        tmp_path, data_root, iteration=99, parameter='decode_head.conv_seg')
    run_here(train.main, tmp_path, [], config)
    assert (tmp_path / 'iter_6.pth').exists()
    assert not list(tmp_path.glob('non_finite*'))


def test_both_processes_stop(tmp_path, data_root):
    """Where one has the loss; each writes its own images."""
    config = write_config(
        tmp_path,
        data_root,
        iteration=3,
        parameter='decode_head.conv_seg.bias',
        rank=1)
    process = subprocess.run([
        'tools/dist_train.sh', config, '2', '--work-dir', tmp_path,
        '--cfg-options', 'train_dataloader.batch_size=2'
    ],
                             cwd=ROOT,
                             env=dict(
                                 os.environ,
                                 CUDA_VISIBLE_DEVICES='',
                                 PYTHON=sys.executable,
                                 PYTHONPATH=str(ROOT)),
                             text=True,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    assert process.returncode
    reports = [
        json.loads((tmp_path / f'non_finite_iter_4_rank_{r}.json').read_text())
        for r in range(2)
    ]
    seen = [{i['img_path'] for i in report['images']} for report in reports]
    assert not seen[0] & seen[1]
    assert reports[0]['losses'] == reports[1]['losses']
    assert not (tmp_path / 'iter_4.pth').exists()


@pytest.mark.parametrize('outputs', [None, {}, {'accuracy': math.nan}])
def test_no_loss(outputs):

    class Runner:
        message_hub = MessageHub.get_instance('no_loss')

    room.NonFiniteLossHook().after_train_iter(Runner, 0, outputs=outputs)


@given(st.dictionaries(st.text(), st.floats()))
def test_non_finite(losses):
    found = room.non_finite(losses)
    assert all(found[name] in ('nan', 'inf', '-inf') for name in found)
    rest = [value for name, value in losses.items() if name not in found]
    assert torch.isfinite(torch.tensor(rest, dtype=torch.float64)).all()
    assert not any(math.isfinite(losses[name]) for name in found)
