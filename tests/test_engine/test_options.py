# Copyright (c) mmseg_afa contributors. All rights reserved.
import re

import pytest
from mmengine.config import Config

from mmseg_afa.engine import launch
from mmseg_afa.engine.options import check_options
from tests.conftest import DEMO
from tests.test_docs import TEXTS

CFG = Config.fromfile(DEMO)
LOADERS = [f'{key}_dataloader' for key in ('train', 'val', 'test')]


@pytest.mark.parametrize('option, advised', [
    ('data_root', [f'{loader}.dataset.data_root' for loader in LOADERS]),
    ('dataset.data_root',
     [f'{loader}.dataset.data_root' for loader in LOADERS]),
    ('max_iters', ['train_cfg.max_iters']),
    ('train_pipeline', ['train_dataloader.dataset.pipeline']),
    ('data_preprocessor.size_divisor',
     ['model.data_preprocessor.size_divisor']),
    ('train_dataloder.batch_size', ['train_dataloader.batch_size']),
    ('batchsize', [f'{loader}.batch_size' for loader in LOADERS]),
    ('max_iter', ['train_cfg.max_iters']),
])
def test_no_effect(option, advised):
    """Name the settings that have an effect."""
    warning, = check_options(CFG, [f'{option}=1'])
    failed, names = warning.split('. Set ')
    assert option.startswith(failed.rpartition(' ')[2])
    assert sorted(names[:-1].split(', ')) == sorted(advised)


def test_nothing_is_near():
    warning, = check_options(CFG, ['qqq=1'])
    assert warning == '--cfg-options: no setting is called qqq.'


@pytest.mark.parametrize('option', [
    'optim_wrapper.clip_grad.max_norm', 'experiment_name', 'compile',
    'custom_hooks.0.interval', 'tta_model.flip', 'runner_type',
    'model.decode_head.dropout_ratio', 'model.backbone.init_cfg.prefix',
    'default_hooks.checkpoint.save_last', 'find_unused_parameters',
    'train_dataloader.dataset.data_prefix.seg_map_path'
])
def test_effect(option):
    assert not check_options(CFG, [f'{option}=1'])


def test_documented_options():
    """Warn of none of the options in README and docs/."""
    found = {
        option
        for text in TEXTS.values()
        for line in re.findall(r'--cfg-options "?([^`#]*)', text)
        for option in re.findall(r'[\w.]+=[^\s"]+', line)
    }
    assert len(found) > 8
    assert not check_options(CFG, found)


def test_pipeline_without_a_loader():
    cfg = Config(dict(test_pipeline=[], model={}, data_preprocessor={}))
    options = ['test_pipeline=1', 'data_preprocessor.mean=1']
    assert not check_options(cfg, options)


def test_tools_warn(monkeypatch):
    said = []
    monkeypatch.setattr(launch, 'print_log',
                        lambda text, **_: said.append(text))
    launch.read_config(DEMO, ['max_iters=3'])
    assert said[0].endswith('Set train_cfg.max_iters.')
