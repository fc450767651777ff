# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Runs that are stopped, resumed and changed; tests/test_training.py compares
weights, tests/benchmarks/kills.py kills at random moments."""
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
model = dict(train_cfg=dict(cam_iters=1, switch_iter=3))
train_cfg = dict(max_iters=40)
train_dataloader = dict(batch_size=4, dataset=dict(data_root={data_root!r}))
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=9, by_epoch=False),
    dict(type='LinearLR', start_factor=0.8, end_factor=0., begin=8, end=41,
         by_epoch=False)
]
auto_scale_lr = dict(base_batch_size=4)
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
    """Of a run of six iterations."""
    run_here(train.main, tmp_path / 'first', SIX, config)
    return tmp_path / 'first'


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


@contextmanager
def full_disk(limit=1_000_000):
    """No file gets larger than some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_full_disk(work_dir, config):
    """The checkpoint that is outdated stays where no newer one can be."""
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
    """What is saved is the iteration that was running."""
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
    os.killpg(process.pid, signal.SIGTERM)  # the loader's processes, too
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 143, output
    done = max(scalars(work_dir)['loss'])
    assert done < 40 and names(work_dir) == [f'iter_{done}.pth']
    assert f'SIGTERM: stopped after iteration {done}.' in output
    assert f'iter_{done}.pth is saved; --resume' in output


def test_another_number_of_images(tmp_path, work_dir, config):
    """The schedule goes on where as many images are behind it."""
    (work_dir / 'iter_6.pth').rename(tmp_path / 'iter_6.pth')
    log = run_here(train.main, tmp_path,
                   ['train_dataloader.batch_size=2', 'train_cfg.max_iters=10'],
                   config, '--resume')
    assert 'with 4 images an iteration, this one has 2' in log
    assert 'Its iteration 6 is number 12 here' in log
    rates = scalars(tmp_path)['base_lr']
    assert list(rates) == [*range(13, 21)]
    assert rates[13] == pytest.approx(1e-3 / 2**0.5 * 12 / 16, rel=1e-5)


def test_another_number_of_images_without_scaling(tmp_path, work_dir, config):
    log = run_here(train.main, work_dir,
                   ['train_dataloader.batch_size=2', 'train_cfg.max_iters=8'],
                   config, '--resume', '--no-auto-scale')
    assert 'goes on at iteration 6 with the rates of the checkpoint' in log
    assert names(work_dir) == ['iter_8.pth']


def test_no_image_is_loaded_twice(work_dir, config, monkeypatch):
    loaded = []
    transform = LoadWeakImage.transform
    monkeypatch.setattr(
        LoadWeakImage, 'transform',
        lambda self, results: loaded.append(results['img_path']) or transform(
            self, results))
    run_here(train.main, work_dir, ['train_cfg.max_iters=8'], config,
             '--resume')
    assert len(loaded) == 2 * 4


def test_nothing_to_resume(tmp_path, config):
    run_here(train.main, tmp_path, ['train_cfg.max_iters=3'], config,
             '--resume')
    assert list(scalars(tmp_path)['loss']) == [1, 2, 3]
