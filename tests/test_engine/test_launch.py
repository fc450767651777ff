# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
from mmengine.config import Config

from mmseg_afa.engine import launch


def config(wrapper='OptimWrapper'):
    return Config(dict(optim_wrapper=dict(type=wrapper)))


@pytest.mark.parametrize('dtype, loss_scale',
                         [('float16', 'dynamic'),
                          ('bfloat16', dict(enabled=False))])
def test_enable_amp(dtype, loss_scale):
    cfg = config()
    launch.enable_amp(cfg, dtype)
    launch.enable_amp(cfg)  # asked for twice: by config and option
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.dtype == dtype
    assert cfg.optim_wrapper.loss_scale == loss_scale


def test_enable_amp_with_another_wrapper():
    with pytest.raises(SystemExit, match='MyWrapper'):
        launch.enable_amp(config('MyWrapper'))


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
def test_amp_needs_a_gpu(monkeypatch, device):
    monkeypatch.setattr(launch, 'get_device', lambda: device)
    launch.check_amp(config())
    if device == 'cuda':
        launch.check_amp(config('AmpOptimWrapper'))
    else:
        with pytest.raises(SystemExit, match='leave out --amp'):
            launch.check_amp(config('AmpOptimWrapper'))
