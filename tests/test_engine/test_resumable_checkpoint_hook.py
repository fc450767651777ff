# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Stop and resume runs of AFA.

tests/test_training.py compares their weights, and test_schedulers.py their
learning rates.
"""
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import torch

from mmseg_afa.datasets.transforms import LoadWeakImage
from tests.test_tools.run_tool import ROOT, run_here, scalars
from tools import train

CONFIG = """
_base_ = ['mmseg_afa::afa/afa_mit-b0_demo.py']
model = dict(
    decode_head=dict(num_classes=None),  # those of the label file
    train_cfg=dict(cam_iters=1, switch_iter=3))
train_cfg = dict(max_iters=40)
train_dataloader = dict(batch_size=4, dataset=dict(data_root={data_root!r}))
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=9, by_epoch=False),
    dict(type='LinearLR', start_factor=0.8, end_factor=0., begin=8, end=41,
         by_epoch=False)
]
auto_scale_lr = None
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval=2, save_best=None, max_keep_ckpts=1))
custom_hooks = []
"""
SIX = ['train_cfg.max_iters=6']


@pytest.fixture
def config(tmp_path, data_root):
    path = tmp_path / 'config/short.py'
    path.parent.mkdir()
    path.write_text(CONFIG.format(data_root=str(data_root)))
    return path


@pytest.fixture
def work_dir(tmp_path, config):
    """Return the work folder of a run of six iterations."""
    run_here(train.main, tmp_path / 'first', SIX, config)
    return tmp_path / 'first'


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


@contextmanager
def full_disk(limit=1_000_000):
    """Let no file grow larger than some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk(work_dir, config):
    """Keep the outdated checkpoint if no newer one can be written."""
    assert names(work_dir) == ['iter_6.pth']
    with full_disk(), pytest.raises(SystemExit) as stop:
        run_here(train.main, work_dir, ['train_cfg.max_iters=8'], config,
                 '--resume')
    assert 'checkpoint of iteration 8 cannot be written' in str(stop.value)
    assert 'File too large' in str(stop.value)
    assert names(work_dir) == ['iter_6.pth']
    assert not list(work_dir.glob('.*'))
    torch.load(work_dir / 'iter_6.pth', weights_only=True)


def test_sigterm(tmp_path, config):
    """Save the iteration that was running."""
    work_dir = tmp_path / 'work'
    process = subprocess.Popen([
        sys.executable, 'tools/train.py', config, '--work-dir', work_dir,
        '--cfg-options', 'train_dataloader.num_workers=2',
        'default_hooks.checkpoint.interval=1000'
    ],
                               cwd=ROOT,
                               env=dict(
                                   os.environ,
                                   PYTHONPATH=str(ROOT),
                                   OMP_NUM_THREADS='1'),
                               text=True,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT,
                               start_new_session=True)
    while not list(work_dir.glob('*/vis_data/scalars.json')):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)  # also the loader's processes
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 143, output
    done = max(scalars(work_dir)['loss'])
    assert done < 40 and names(work_dir) == [f'iter_{done}.pth']
    assert f'SIGTERM: stopped after iteration {done}.' in output
    assert f'iter_{done}.pth is saved. Resume with --resume.' in output


def test_no_image_is_loaded_twice(work_dir, config, monkeypatch):
    loaded = []
    transform = LoadWeakImage.transform
    monkeypatch.setattr(
        LoadWeakImage, 'transform',
        lambda self, results: loaded.append(results['img_path']) or transform(
            self, results))
    unfinished = work_dir / '.iter_8.0123abcd.tmp.pth'  # of a killed run
    unfinished.touch()
    run_here(train.main, work_dir, ['train_cfg.max_iters=8'], config,
             '--resume')
    assert len(loaded) == 2 * 4
    assert not unfinished.exists()


def test_nothing_to_resume(tmp_path, config):
    run_here(train.main, tmp_path, ['train_cfg.max_iters=3'], config,
             '--resume')
    assert list(scalars(tmp_path)['loss']) == [1, 2, 3]
