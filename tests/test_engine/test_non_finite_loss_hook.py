# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import os

import pytest

from tests.test_tools.run_tool import run, run_here
from tools import train

# Every iteration is saved. The demo's custom hooks are replaced, but the
# hook under test is a default hook.
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


@pytest.fixture
def write_config(tmp_path, data_root):

    def write(**spoil):
        # Not in the work folder, to which training writes the whole config.
        path = tmp_path / 'config' / 'spoilt.py'
        path.parent.mkdir()
        path.write_text(CONFIG.format(data_root=str(data_root), spoil=spoil))
        return path

    return write


@pytest.mark.parametrize('iteration, phase, parameter, expected', [
    (1, 'classify', 'decode_head.classifier.weight', 'decode.loss_cls'),
    (5, 'refined', 'decode_head.conv_seg.bias', 'decode.loss_seg'),
])
def test_stops_before_the_checkpoint(tmp_path, write_config, iteration, phase,
                                     parameter, expected):
    config = write_config(iteration=iteration, parameter=parameter)
    with pytest.raises(SystemExit) as stop:
        run_here(train.main, tmp_path, [], config)
    path = tmp_path / f'non_finite_iter_{iteration + 1}.json'
    assert f'Iteration {iteration + 1} ({phase})' in stop.value.code
    assert f'{expected} is nan' in stop.value.code
    assert f'{path} names the images' in stop.value.code
    assert (tmp_path / f'iter_{iteration}.pth').exists()
    assert not (tmp_path / f'iter_{iteration + 1}.pth').exists()

    report = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert (report['iteration'], report['phase']) == (iteration + 1, phase)
    assert report['losses'][expected] == 'nan'
    assert len(report['images']) == 3
    for image in report['images']:
        assert os.path.exists(image['img_path'])
        assert len(image['img_box']) == 4 and 'flip' in image


def test_both_processes_stop(tmp_path, write_config):
    """Write the images of each process, where one of them has the loss."""
    config = write_config(
        iteration=3, parameter='decode_head.conv_seg.bias', rank=1)
    with pytest.raises(AssertionError):
        run('env', 'CUDA_VISIBLE_DEVICES=', 'tools/dist_train.sh', config, 2,
            '--work-dir', tmp_path, '--cfg-options',
            'train_dataloader.batch_size=2')
    reports = [
        json.loads((tmp_path / f'non_finite_iter_4_rank_{r}.json').read_text())
        for r in range(2)
    ]
    seen = [{i['img_path'] for i in report['images']} for report in reports]
    assert not seen[0] & seen[1]
    assert reports[0]['losses'] == reports[1]['losses']
    assert not (tmp_path / 'iter_4.pth').exists()
