# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.config import Config

from mmseg_afa.engine import launch


def config(wrapper='OptimWrapper'):
    return Config(dict(optim_wrapper=dict(type=wrapper)))


@pytest.mark.parametrize('dtype, loss_scale',
                         [('float16', 'dynamic'),
                          ('bfloat16', dict(enabled=False))])
def test_enable_amp(monkeypatch, dtype, loss_scale):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    cfg = config()
    launch.enable_amp(cfg, dtype)
    launch.enable_amp(cfg)  # asked for twice: by config and option
    launch.check_amp(cfg)
    assert cfg.optim_wrapper == dict(
        type='AmpOptimWrapper', dtype=dtype, loss_scale=loss_scale)


def test_enable_amp_with_another_wrapper():
    with pytest.raises(SystemExit, match='MyWrapper'):
        launch.enable_amp(config('MyWrapper'))


@pytest.mark.parametrize('dtype', ['bfloat16', torch.bfloat16])
@pytest.mark.parametrize('has, wrapper', [(True, 'BFloat16OptimWrapper'),
                                          (False, 'OptimWrapper')])
def test_amp_on_the_cpu(monkeypatch, dtype, has, wrapper):
    """Other settings stay; without units for it, it is float32's wrapper."""
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
    with pytest.raises(SystemExit, match='float16 needs a GPU'):
        launch.check_amp(cfg)


def test_no_optimizer():
    launch.check_amp(Config(dict(optim_wrapper=None)))
