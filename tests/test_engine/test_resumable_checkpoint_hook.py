# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Stop and resume runs of AFA.

tests/test_training.py compares their weights, and test_resumed_rates.py their
learning rates.
"""
import os
import resource
import signal
import subprocess
import sys
import time

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
param_scheduler = None
auto_scale_lr = None
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval=2, save_best=None, max_keep_ckpts=1))
custom_hooks = []
"""


@pytest.fixture
def config(tmp_path, data_root):
    path = tmp_path / 'config/short.py'
    path.parent.mkdir()
    path.write_text(CONFIG.format(data_root=str(data_root)))
    return path


@pytest.fixture
def work_dir(tmp_path, config):
    """Return the work folder of a run of six iterations."""
    run_here(train.main, tmp_path / 'first', ['train_cfg.max_iters=6'], config)
    return tmp_path / 'first'


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


def test_full_disk(work_dir, config):
    """Keep the outdated checkpoint if no newer one can be written."""
    assert names(work_dir) == ['iter_6.pth']
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(SystemExit) as stop:
            run_here(train.main, work_dir, ['train_cfg.max_iters=8'], config,
                     '--resume')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
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
    os.utime(unfinished, (0, 0))
    run_here(train.main, work_dir, ['train_cfg.max_iters=8'], config,
             '--resume')
    assert len(loaded) == 2 * 4
    assert not unfinished.exists()
