# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.config import Config

from mmseg_afa.engine import launch
from mmseg_afa.utils import UserError
from tests.conftest import DEMO


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
    assert launch.read_config(DEMO).model.labeler.get('radius', 8) == 8


@pytest.mark.parametrize('path, options, expected', [
    ('none.py', None, 'none.py: no such config file'),
    (DEMO, ['a=1', 'model.x'], "found 'model.x', expected KEY=VALUE"),
])
def test_wrong_config(path, options, expected):
    with pytest.raises(UserError, match=expected):
        launch.read_config(path, options)


def config(wrapper='OptimWrapper'):
    return Config(dict(optim_wrapper=dict(type=wrapper)))


@pytest.mark.parametrize('dtype, loss_scale',
                         [('float16', 'dynamic'),
                          ('bfloat16', dict(enabled=False))])
def test_enable_amp(monkeypatch, dtype, loss_scale):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    cfg = config()
    launch.enable_amp(cfg, dtype)
    launch.enable_amp(cfg)  # twice: by config and by option
    launch.check_amp(cfg)
    assert cfg.optim_wrapper == dict(
        type='AmpOptimWrapper', dtype=dtype, loss_scale=loss_scale)


def test_enable_amp_with_another_wrapper():
    with pytest.raises(UserError, match='MyWrapper'):
        launch.enable_amp(config('MyWrapper'))


@pytest.mark.parametrize('dtype', ['bfloat16', torch.bfloat16])
@pytest.mark.parametrize('has, wrapper', [(True, 'BFloat16OptimWrapper'),
                                          (False, 'OptimWrapper')])
def test_amp_on_the_cpu(monkeypatch, dtype, has, wrapper):
    """Keep other settings; use float32 without instructions for bfloat16."""
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(launch, 'cpu_has_bfloat16', lambda: has)
    warnings = []
    monkeypatch.setattr(launch, 'print_log',
                        lambda text, **_: warnings.append(text))
    by_option = config()
    by_option.optim_wrapper.clip_grad = dict(max_norm=1.)
    launch.enable_amp(by_option)
    by_config = config('AmpOptimWrapper')
    by_config.optim_wrapper.update(
        dtype=dtype, loss_scale=1., clip_grad=dict(max_norm=1.))
    launch.check_amp(by_config)
    for cfg in by_option, by_config:
        launch.check_amp(cfg)
        assert cfg.optim_wrapper == dict(
            type=wrapper, clip_grad=dict(max_norm=1.))
    assert len(warnings) == (0 if has else 2)
    assert all('float32' in text for text in warnings)


@pytest.mark.parametrize('settings', [dict(), dict(dtype='float16')])
def test_float16_on_the_cpu(monkeypatch, settings):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    cfg = config('AmpOptimWrapper')
    cfg.optim_wrapper.update(settings)
    with pytest.raises(UserError, match='float16 needs a GPU'):
        launch.check_amp(cfg)


def test_no_optimizer():
    launch.check_amp(Config(dict(optim_wrapper=None)))


def test_latest_checkpoint(tmp_path):
    assert launch.latest_checkpoint(tmp_path / 'none') is None
    for name in ('iter_90.pth', 'iter_1000.pth', '.iter_2000.tmp.pth',
                 'best_mIoU_iter_3000.pth', 'iter_x.pth', 'last_checkpoint'):
        (tmp_path / name).touch()
    newest = launch.latest_checkpoint(tmp_path)
    assert newest == str(tmp_path / 'iter_1000.pth')


def test_resume_from_a_file(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path)))
    with pytest.raises(UserError, match='no.pth: no such checkpoint file'):
        launch.resume(cfg, str(tmp_path / 'no.pth'))
    (tmp_path / 'iter_5.pth').touch()
    launch.resume(cfg, str(tmp_path / 'iter_5.pth'))
    assert cfg.resume and cfg.load_from == str(tmp_path / 'iter_5.pth')


def test_resume_from_nothing(tmp_path, monkeypatch):
    """Start from the weights that the config names, if any."""
    said = []
    monkeypatch.setattr(launch, 'print_log',
                        lambda text, **_: said.append(text))
    cfg = Config(dict(work_dir=str(tmp_path), load_from='weights.pth'))
    launch.resume(cfg, 'auto')
    assert not cfg.resume and cfg.load_from == 'weights.pth'
    assert 'has no checkpoint to resume' in said[0]


def test_start_processes_on_gpus(monkeypatch):
    """Call what mmengine's Runner would call later."""
    calls = []
    monkeypatch.setattr(launch, 'prepare_for_cpu', lambda cfg: None)
    monkeypatch.setattr(launch, 'set_multi_processing',
                        lambda **kwargs: calls.append(kwargs))
    monkeypatch.setattr(launch, 'init_dist',
                        lambda *args, **kwargs: calls.append((args, kwargs)))
    cfg = Config.fromfile(DEMO)
    cfg.launcher = 'none'
    launch.start_processes(cfg)
    assert not calls
    cfg.launcher = 'slurm'
    launch.start_processes(cfg)
    assert calls == [
        dict(mp_start_method='fork', opencv_num_threads=0, distributed=True),
        (('slurm', ), dict(backend='nccl'))
    ]
