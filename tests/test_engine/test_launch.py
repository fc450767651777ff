# Copyright (c) mmseg_afa contributors. All rights reserved.
from unittest import mock

import pytest
from mmengine.config import Config
from torch.utils.data import DataLoader

from mmseg_afa.engine import launch
from mmseg_afa.utils import UserError
from tests.conftest import DEMO
from tools import test, train


def test_read_config():
    cfg = launch.read_config(DEMO, [
        'model.labeler.radius=2', 'train_dataloader.dataset.data_root=a',
        'model.train_cfg.cam_scales=1,0.5', 'load_from=None',
        'custom_hooks="[dict(type=1)]"'
    ])
    assert cfg.model.labeler.radius == 2
    assert cfg.train_dataloader.dataset.data_root == 'a'
    assert cfg.model.train_cfg.cam_scales == [1, 0.5]
    assert cfg.load_from is None


def test_no_workers():
    """torch refuses both settings without workers."""
    loaders = [f'{key}_dataloader' for key in ('train', 'val', 'test')]
    cfg = launch.read_config(
        'afa_mit-b1_voc', [f'{loader}.num_workers=0' for loader in loaders] +
        [f'{loader}.prefetch_factor=4' for loader in loaders])
    for loader in loaders:
        DataLoader(
            range(2), **{
                key: cfg[loader][key]
                for key in ('num_workers', 'persistent_workers',
                            'prefetch_factor') if key in cfg[loader]
            })
    assert launch.read_config(
        'afa_mit-b1_voc').val_dataloader.persistent_workers


def test_home(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    cfg = launch.read_config(DEMO, [
        'train_dataloader.dataset.data_root=~/a', 'load_from=~/b.pth',
        'model.init_cfg.checkpoint=~/c.pth', 'work_dir=~/work',
        'custom_hooks.0.out_dir=~/d'
    ])
    assert cfg.train_dataloader.dataset.data_root == f'{tmp_path}/a'
    assert cfg.load_from == f'{tmp_path}/b.pth'
    assert cfg.model.init_cfg.checkpoint == f'{tmp_path}/c.pth'
    assert cfg.custom_hooks[0].out_dir == f'{tmp_path}/d'
    assert cfg.work_dir == f'{tmp_path}/work'
    args = train.parse_args([str(DEMO), '--work-dir=~/w'])
    assert launch.load_config(args).work_dir == f'{tmp_path}/w'
    args = test.parse_args(['a.py', 'x.pth', '--out=~/out'])
    assert args.out == f'{tmp_path}/out'


@pytest.mark.parametrize('path, options, expected', [
    ('none.py', None, 'none.py: no such config file'),
    (DEMO, ['a=1', 'model.x'], "found 'model.x', expected KEY=VALUE"),
    (DEMO, ['custom_hooks.3.interval=1'], '--cfg-options: .*exceeds the len'),
    (DEMO, ['max_iters.x=1'], '--cfg-options: .*cannot inherit'),
])
def test_wrong_config(path, options, expected):
    with pytest.raises(UserError, match=expected):
        launch.read_config(path, options)


def test_refiner_of_predictions():
    """The labeler's PAR has a short reach where crops are small."""
    voc6 = DEMO.with_name('afa_mit-b0_voc6.py')
    cfg = launch.read_config(voc6)
    assert cfg.model.labeler.refiner.dilations == (1, 2, 4)
    assert launch.refiner_config(cfg, 'par') == dict(type='PAR')
    option = 'model.test_cfg.refiner.type=DenseCRF'
    cfg = launch.read_config(voc6, [option])
    assert launch.refiner_config(cfg, 'par') == dict(type='DenseCRF')
    assert launch.refiner_config(cfg, 'none') is None
    cfg.model.test_cfg.refiner = None  # the default, as in AFA
    assert launch.refiner_config(cfg, 'par') == dict(type='PAR')
    # of mmseg's models some have no test_cfg
    cfg = Config(dict(model=dict(type='EncoderDecoder', test_cfg=None)))
    assert launch.refiner_config(cfg, 'par') == dict(type='PAR')


@pytest.mark.parametrize('device, has, dtype, expected', [
    ('cuda', False, 'bfloat16', dict(type='BFloat16OptimWrapper')),
    ('cuda', False, 'float16', dict(type='AmpOptimWrapper', dtype='float16')),
    ('cpu', True, 'bfloat16', dict(type='BFloat16OptimWrapper')),
    ('cpu', False, 'bfloat16', dict(type='OptimWrapper')),
])
def test_enable_amp(monkeypatch, device, has, dtype, expected):
    """Use float32 on a CPU without instructions for bfloat16."""
    monkeypatch.setattr(launch, 'get_device', lambda: device)
    monkeypatch.setattr(launch, 'cpu_has_bfloat16', lambda: has)
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', clip_grad=1)))
    launch.enable_amp(cfg, dtype)
    assert cfg.optim_wrapper == dict(expected, clip_grad=1)


def test_enable_amp_with_another_wrapper():
    with pytest.raises(UserError, match='MyWrapper'):
        launch.enable_amp(Config(dict(optim_wrapper=dict(type='MyWrapper'))))


def test_resume(tmp_path, monkeypatch):
    """Without a checkpoint, start from the weights that the config names."""
    said = []
    monkeypatch.setattr(launch, 'print_log',
                        lambda text, **_: said.append(text))
    cfg = Config(dict(work_dir=str(tmp_path), load_from='weights.pth'))
    launch.resume(cfg, 'auto')
    assert not cfg.resume and cfg.load_from == 'weights.pth'
    assert 'has no checkpoint to resume' in said[0]
    path = tmp_path / 'iter_5.pth'
    path.touch()
    for checkpoint in 'auto', str(path):
        launch.resume(cfg, checkpoint)
        assert cfg.resume and cfg.load_from == str(path)


def test_start_processes_on_gpus(monkeypatch):
    """Call what mmengine's Runner would call later."""
    started = mock.Mock()
    monkeypatch.setattr(launch, 'prepare_for_cpu', lambda cfg: None)
    monkeypatch.setattr(launch, 'set_multi_processing', mock.Mock())
    monkeypatch.setattr(launch, 'init_dist', started)
    cfg = Config.fromfile(DEMO)
    cfg.launcher = 'none'
    launch.start_processes(cfg)
    started.assert_not_called()
    cfg.launcher = 'slurm'
    launch.start_processes(cfg)
    started.assert_called_once_with('slurm', backend='nccl')
