# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
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
