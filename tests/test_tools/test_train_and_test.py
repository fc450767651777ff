# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run tools/train.py and tools/test.py on a plain mmsegmentation model.

tests/test_training.py runs them on AFA, and in two processes.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg_afa.engine import cpu, launch
from tests.test_tools.run_tool import ROOT, run, run_here, scalars
from tools import test, train
from tools.analysis_tools import prediction_sheet

CONFIG = Path(__file__).with_name('tiny_config.py')
NUM_IMAGES = 12
NOWHERE = 'http://127.0.0.1:9/a.pth'
UNREAD = f"""
_base_ = '{CONFIG}'
pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = val_dataloader
"""


@pytest.fixture(scope='module')
def data_root(tmp_path_factory) -> Path:
    """Write random images and masks."""
    root = tmp_path_factory.mktemp('data')
    generator = np.random.default_rng(0)
    for folder, shape, end, high in [('images', (64, 64, 3), 'jpg', 256),
                                     ('masks', (64, 64), 'png', 3)]:
        (root / folder).mkdir()
        for index in range(NUM_IMAGES):
            picture = generator.integers(high, size=shape, dtype=np.uint8)
            cv2.imwrite(str(root / folder / f'{index:02}.{end}'), picture)
    return root


@pytest.fixture(scope='module')
def options(data_root) -> list:
    """Point the config to the data."""
    return [
        f'{part}_dataloader.dataset.data_root={data_root}'
        for part in ('train', 'val', 'test')
    ]


@pytest.fixture(scope='module')
def trained(tmp_path_factory, options) -> Path:
    """Train for three iterations; the work folder."""
    work_dir = tmp_path_factory.mktemp('work')
    run_here(train.main, work_dir, options, CONFIG)
    return work_dir


def steps(work_dir: Path) -> list:
    """List the iterations that were trained in a work folder."""
    return list(scalars(work_dir)['loss'])


def test_train(trained):
    assert steps(trained) == [1, 2, 3]
    checkpoint = torch.load(trained / 'iter_3.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 3
    assert checkpoint['message_hub']['log_scalars']


def test_log_before_training(tmp_path, options):
    """End with what the run does; list no parameter and no default twice.

    mmengine finds the schedule rescaled, and does not scale the rate again.
    """
    log = run_here(train.main, tmp_path, [
        *options, 'auto_scale_lr.enable=True',
        'auto_scale_lr.base_batch_size=4', 'norm_cfg.type=BN',
        'optim_wrapper.paramwise_cfg.bias_lr_mult=2.'
    ], CONFIG)
    start, _, block = log.partition(' This run')
    block = block[:block.index('Iter(train)')]
    assert 'Checkpoints will be saved' in start and 'Scaling' in start
    assert 'Scaling the original LR by 1.0' in start
    assert 'Set model.decode_head.norm_cfg.type.' in block
    assert 'paramwise_options' not in start
    assert 'Initialization information' not in start
    # 2 images in place of 4: twice the iterations, the rate by sqrt(1/2)
    assert steps(tmp_path) == [*range(1, 7)]
    lr = list(scalars(tmp_path)['base_lr'].values())
    assert lr == [pytest.approx(1e-3 * 0.5**0.5)] * 6


@pytest.mark.parametrize('has', [True, False])
def test_amp_on_the_cpu(tmp_path, options, monkeypatch, has):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(launch, 'cpu_has_bfloat16', lambda: has)
    run_here(train.main, tmp_path, options, CONFIG, '--amp')
    cfg = Config.fromfile(tmp_path / CONFIG.name)
    assert cfg.optim_wrapper.type == ('BFloat16OptimWrapper'
                                      if has else 'OptimWrapper')
    assert np.isfinite(list(scalars(tmp_path)['loss'].values())).all()


@pytest.mark.parametrize('where', ['nowhere', 'here', 'elsewhere'])
def test_resume_in_the_config(trained, options, tmp_path, where):
    """Take `resume` of a config as --resume, also without a checkpoint."""
    options = [*options, 'resume=True', 'train_cfg.max_iters=4']
    if where == 'elsewhere':
        options.append(f'load_from={trained}/iter_3.pth')
    elif where == 'here':  # without mmengine's file last_checkpoint
        shutil.copy(trained / 'iter_3.pth', tmp_path)
    run_here(train.main, tmp_path, options, CONFIG)
    assert steps(tmp_path) == ([1, 2, 3, 4] if where == 'nowhere' else [4])


@pytest.mark.parametrize('use', ['resume', 'load_from', 'test'])
def test_checkpoint_of_a_stranger(trained, options, tmp_path, use):
    """mmengine executes the config in a checkpoint that it resumes from."""
    stranger, marker = tmp_path / 'stranger.pth', tmp_path / 'executed'
    checkpoint = torch.load(trained / 'iter_3.pth', weights_only=True)
    checkpoint['meta']['config'] = f'a = open({str(marker)!r}, "w").name'
    torch.save(checkpoint, stranger)
    if use == 'resume':
        run_here(train.main, tmp_path, [*options, 'train_cfg.max_iters=4'],
                 CONFIG, '--resume', stranger)
        assert steps(tmp_path) == [4]
    elif use == 'load_from':
        run_here(train.main, tmp_path, [*options, f'load_from={stranger}'],
                 CONFIG)
        assert steps(tmp_path) == [1, 2, 3]
    else:
        run_here(test.main, tmp_path, options, CONFIG, stranger)
    assert not marker.exists()


def test_test_writes_predictions_and_pictures(trained, options, tmp_path):
    output = run_here(test.main, tmp_path, options, CONFIG,
                      trained / 'iter_3.pth', '--out', tmp_path / 'out',
                      '--show-dir', tmp_path / 'shown')
    assert 'mIoU:' in output
    written = sorted((tmp_path / 'out').iterdir())
    assert [path.name for path in written
            ] == [f'{index:02}.png' for index in range(NUM_IMAGES)]
    mask = cv2.imread(str(written[0]), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (64, 64) and mask.max() < 3
    assert len(list((tmp_path / 'shown').rglob('*.png'))) == NUM_IMAGES


@pytest.mark.parametrize('metrics, writes', [
    (dict(type='IoUMetric'), [True]),
    ([
        dict(type='mmengine.DumpResults', out_file_path='a.pkl'),
        dict(type='IoUMetric'),
        dict(type='IoUMetric', prefix='again')
    ], [False, True, False]),
])
def test_set_output_dir(metrics, writes):
    """Let the first metric write that can."""
    cfg = Config(dict(test_evaluator=metrics))
    test.set_output_dir(cfg, 'out', 'seg')
    metrics = cfg.test_evaluator
    metrics = metrics if isinstance(metrics, list) else [metrics]
    assert [m.get('output_dir') == 'out' for m in metrics] == writes


@pytest.mark.parametrize('main, arguments, expected', [
    (train.main, ['none.py'], 'none.py: no such config file'),
    (test.main, ['none.py', 'x.pth'], 'none.py: no such config file'),
    (train.main, [CONFIG, '--resume', 'none.pth'], 'no such checkpoint'),
    (test.main, [CONFIG, 'none.pth'], 'none.pth: no such checkpoint'),
    (test.main, [CONFIG, 'bad.pth'], 'bad.pth: not a checkpoint'),
    (test.main, [CONFIG, NOWHERE], f'{NOWHERE}: cannot be downloaded'),
    (train.main, [CONFIG, '--resume', NOWHERE], 'cannot be downloaded'),
    (train.main, [CONFIG, f'load_from={NOWHERE}'], 'cannot be downloaded'),
    (test.main, [CONFIG, 'iter_3.pth', '--tta'], 'needs tta_pipeline in the'),
    (test.main, [CONFIG, 'iter_3.pth', '--out', 'out', '--source', 'cam'],
     'no metric writes masks of cam'),
    (test.main, ['no_masks.py', 'iter_3.pth'], 'test_dataloader is not set'),
    (test.main, ['unread.py', 'iter_3.pth'], '00.jpg: has no mask'),
    (train.main, ['unread.py'], '00.jpg: has no mask'),
    (prediction_sheet.main, ['no_masks.py', 'iter_3.pth'], 'tools/predict.py'),
    (test.main, [CONFIG, 'list.pth'], 'list.pth: holds a list'),
    (train.main, [CONFIG, 'load_from=other.pth'], 'weights of the model do'),
    (train.main, [CONFIG, 'train_cfg=dict(a=1,b=2)'], 'KEY.ITEM=VALUE'),
    (train.main, [CONFIG, '--amp', 'float16'], 'float16 needs a GPU'),
    (train.main, [CONFIG, '--work-dir', 'bad.pth'], 'bad.pth: File exists.'),
    (train.main, [CONFIG, '--work-dir', 'bad.pth/a'], ': Not a directory.'),
    (train.main, [CONFIG, '--launcher', 'slurm'], 'slurm needs a GPU'),
])  # yapf: disable
def test_mistakes(trained, options, monkeypatch, main, arguments, expected):
    """Stop in one line, which names what was found."""
    monkeypatch.chdir(trained)
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(cpu, 'get_device', lambda: 'cpu')
    Path('bad.pth').write_bytes(b'<html>not found</html>')
    torch.save([1], 'list.pth')
    torch.save(dict(a=torch.ones(1)), 'other.pth')
    Path('no_masks.py').write_text('val_dataloader = test_dataloader = None')
    Path('unread.py').write_text(UNREAD)
    if 'no_masks.py' in arguments:
        options = ['test_cfg=None']
    options = [*options, *(a for a in arguments if '=' in str(a))]
    arguments = [str(a) for a in arguments if '=' not in str(a)]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, '--cfg-options', *options])
    assert expected in stop.value.code and '\n' not in stop.value.code


@pytest.mark.parametrize('kind', ['dist', 'slurm'])
@pytest.mark.parametrize('tool', ['train', 'test'])
def test_shell_usage(kind, tool):
    process = subprocess.run([ROOT / f'tools/{kind}_{tool}.sh'],
                             stderr=subprocess.PIPE,
                             text=True)
    assert process.returncode == 2
    assert re.fullmatch(r'Usage: \S+ .*\n', process.stderr)


@pytest.mark.parametrize('tool, named', [('train', []), ('test', ['b.pth'])])
@pytest.mark.parametrize('kind', ['dist', 'slurm'])
def test_shell_command(tmp_path, monkeypatch, kind, tool, named):
    """Print the command that a script runs, in place of running it."""
    echo = tmp_path / 'srun'
    echo.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    echo.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    for name, value in dict(
            NNODES=2, NODE_RANK=1, GPUS=4, SRUN_ARGS='--time 10').items():
        monkeypatch.setenv(name, str(value))
    script = f'tools/{kind}_{tool}.sh'
    if kind == 'dist':
        output = run('env', f'PYTHON={echo}', script, 'a b.py', *named, 4,
                     '--amp')
        expected = {'--nnodes=2', '--node-rank=1', '--nproc-per-node=4'}
        launcher = 'pytorch'
    else:
        output = run(script, 'part', 'job', 'a b.py', *named, '--amp')
        expected = {'--ntasks=4', '--job-name=job', '--time', '10', 'part'}
        launcher = 'slurm'
    output = output.splitlines()
    assert expected <= set(output)
    start = output.index(str(ROOT / f'tools/{tool}.py'))
    assert output[start +
                  1:] == ['--launcher', launcher, 'a b.py', *named, '--amp']


WORKER = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
pathlib.Path(__file__).with_name('started_' + os.environ['RANK']).touch()
time.sleep(100)
"""


@pytest.mark.parametrize('send, number', [(os.kill, signal.SIGTERM),
                                          (os.killpg, signal.SIGINT)])
def test_signal_to_several_processes(tmp_path, send, number):
    """End by the status of a shell, as a single process does."""
    worker = tmp_path / 'worker.py'
    worker.write_text(WORKER)
    process = subprocess.Popen(
        ['tools/dist_run.sh',
         os.path.relpath(worker, ROOT / 'tools'), '2'],
        cwd=ROOT,
        env=dict(os.environ, PYTHON=sys.executable),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True)
    while len(list(tmp_path.glob('started_?'))) < 2:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.01)
    send(process.pid, number)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 128 + number, output
