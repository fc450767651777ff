# Copyright (c) mmseg_afa contributors. All rights reserved.
"""tools/train.py, tools/test.py and their distributed twins, as they are used.

They run a plain mmsegmentation model, so a failure here is a failure of the
tools and of nothing else.
"""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name('tiny_config.py')
NUM_IMAGES = 12


@pytest.fixture(scope='module')
def data_root(tmp_path_factory) -> Path:
    """A folder with random images and masks."""
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
def overrides(data_root) -> list:
    """The options that point the config to the data."""
    return ['--cfg-options'] + [
        f'{part}_dataloader.dataset.data_root={data_root}'
        for part in ('train', 'val', 'test')
    ]


def run(*command) -> str:
    """Run a command in the repository; its output, if it succeeds."""
    environment = dict(os.environ, PYTHON=sys.executable, PYTHONPATH=str(ROOT))
    environment.pop('PORT', None)
    process = subprocess.run([str(part) for part in command],
                             cwd=ROOT,
                             env=environment,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT,
                             text=True)
    assert process.returncode == 0, process.stdout
    return process.stdout


def run_here(monkeypatch, work_dir: Path, tool: str, *arguments) -> str:
    """Run a tool in this process, which is quicker; what it logged."""
    arguments = [tool, *arguments, '--work-dir', work_dir]
    monkeypatch.setattr(sys, 'argv', [str(part) for part in arguments])
    runpy.run_path(str(ROOT / tool), run_name='__main__')
    return '\n'.join(log.read_text() for log in work_dir.glob('*/*.log'))


@pytest.fixture(scope='module')
def trained(tmp_path_factory, overrides) -> Path:
    """The work folder of a training run of three iterations."""
    work_dir = tmp_path_factory.mktemp('work')
    output = run(sys.executable, 'tools/train.py', CONFIG, '--work-dir',
                 work_dir, *overrides)
    assert losses(output).keys() == {1, 2, 3}
    return work_dir


def losses(output: str) -> dict:
    """The training losses that a log tells, by iteration."""
    found = re.findall(r'Iter\(train\) +\[(\d+)/\d+\].* loss: ([\d.]+)',
                       output)
    return {int(iteration): float(loss) for iteration, loss in found}


def test_checkpoint_is_loaded_with_weights_only(trained):
    from mmseg_afa import compat
    checkpoint = compat.load_from_local(str(trained / 'iter_3.pth'))
    assert checkpoint['meta']['iter'] == 3
    assert checkpoint['message_hub']['log_scalars']


def test_resume_the_latest(trained, overrides, tmp_path):
    (tmp_path / 'iter_3.pth').symlink_to(trained / 'iter_3.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_3.pth'))
    output = run(sys.executable, 'tools/train.py', CONFIG, '--resume',
                 '--work-dir', tmp_path, *overrides, 'train_cfg.max_iters=5')
    assert losses(output).keys() == {4, 5}


def test_resume_by_name(monkeypatch, trained, overrides, tmp_path):
    output = run_here(monkeypatch, tmp_path, 'tools/train.py', CONFIG,
                      '--resume', trained / 'iter_3.pth', *overrides,
                      'train_cfg.max_iters=4')
    assert losses(output).keys() == {4}


def test_test_writes_predictions_and_pictures(trained, overrides, tmp_path):
    output = run(sys.executable, 'tools/test.py', CONFIG,
                 trained / 'iter_3.pth', '--work-dir', tmp_path, '--out',
                 tmp_path / 'out', '--show-dir', tmp_path / 'shown',
                 *overrides)
    assert 'mIoU:' in output
    written = sorted((tmp_path / 'out').iterdir())
    assert [path.name for path in written
            ] == [f'{index:02}.png' for index in range(NUM_IMAGES)]
    mask = cv2.imread(str(written[0]), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (64, 64) and mask.max() < 3
    assert len(list((tmp_path / 'shown').rglob('*.png'))) == NUM_IMAGES


def test_tta(monkeypatch, trained, overrides, tmp_path):
    output = run_here(monkeypatch, tmp_path, 'tools/test.py', CONFIG,
                      trained / 'iter_3.pth', '--tta', *overrides)
    assert 'mIoU:' in output


def test_two_processes_on_the_cpu(trained, overrides, tmp_path, monkeypatch):
    # also where there is a GPU
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    output = run('tools/dist_train.sh', CONFIG, 2, '--work-dir', tmp_path,
                 *overrides)
    assert losses(output).keys() == {1, 2, 3}
    assert output.count('SyncBN needs a GPU') == 1
    assert 'mIoU:' in output
    checkpoint = torch.load(tmp_path / 'iter_3.pth', weights_only=True)
    assert not any(
        key.startswith('module.') for key in checkpoint['state_dict'])

    output = run('tools/dist_test.sh', CONFIG, tmp_path / 'iter_3.pth', 2,
                 '--work-dir', tmp_path, *overrides)
    assert 'mIoU:' in output


class TestMistakes:
    """Each stops in one line that says what was found and what to do."""

    def message(self, monkeypatch, *command) -> str:
        monkeypatch.setattr(sys, 'argv', [str(part) for part in command])
        monkeypatch.chdir(ROOT)
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(command[0]), run_name='__main__')
        assert isinstance(stop.value.code, str)
        assert '\n' not in stop.value.code
        return stop.value.code

    @pytest.mark.parametrize('tool', ['train', 'test'])
    def test_no_config(self, monkeypatch, tool):
        checkpoint = ['x.pth'] if tool == 'test' else []
        assert 'none.py: no such config file' in self.message(
            monkeypatch, f'tools/{tool}.py', 'none.py', *checkpoint)

    def test_no_checkpoint(self, monkeypatch):
        for command in [('tools/test.py', CONFIG, 'none.pth'),
                        ('tools/train.py', CONFIG, '--resume', 'none.pth')]:
            assert 'none.pth: no such checkpoint' in self.message(
                monkeypatch, *command)

    def test_damaged_checkpoint(self, monkeypatch, tmp_path, overrides):
        (tmp_path / 'bad.pth').write_bytes(b'<html>not found</html>')
        assert 'bad.pth: not a checkpoint' in self.message(
            monkeypatch, 'tools/test.py', CONFIG, tmp_path / 'bad.pth',
            '--work-dir', tmp_path, *overrides)

    def test_amp_without_a_gpu(self, monkeypatch):
        monkeypatch.setattr('mmseg_afa.compat.get_device', lambda: 'cpu')
        assert 'leave out --amp' in self.message(monkeypatch, 'tools/train.py',
                                                 CONFIG, '--amp')

    def test_nothing_to_draw_with(self, monkeypatch, tmp_path, trained):
        config = tmp_path / 'config.py'
        config.write_text(f"_base_ = '{CONFIG}'\n"
                          'default_hooks = dict(_delete_=True)\n'
                          'tta_model = None\n')
        command = 'tools/test.py', config, trained / 'iter_3.pth'
        assert 'SegVisualizationHook' in self.message(monkeypatch, *command,
                                                      '--show-dir', 'x')

    def test_no_tta_in_the_config(self, monkeypatch, tmp_path, trained):
        config = tmp_path / 'config.py'
        config.write_text(CONFIG.read_text().replace('tta_model', 'other'))
        assert 'needs tta_model in the config' in self.message(
            monkeypatch, 'tools/test.py', config, trained / 'iter_3.pth',
            '--tta')

    @pytest.mark.parametrize(
        'tool',
        ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'])
    def test_shell_usage(self, tool):
        process = subprocess.run([ROOT / 'tools' / tool],
                                 stderr=subprocess.PIPE,
                                 text=True)
        assert process.returncode == 2
        assert process.stderr.startswith('Usage: ')
        assert len(process.stderr.splitlines()) == 1


@pytest.mark.parametrize('tool, named', [('train', []), ('test', ['b.pth'])])
def test_slurm_command(tmp_path, monkeypatch, tool, named):
    """What the script hands to srun, through an srun that prints it."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv('GPUS', '4')
    monkeypatch.setenv('SRUN_ARGS', '--time 10')
    output = run(f'tools/slurm_{tool}.sh', 'part', 'job', 'a b.py', *named,
                 '--amp').splitlines()
    start = output.index(str(ROOT / f'tools/{tool}.py'))
    assert output[start +
                  1:] == ['a b.py', *named, '--launcher', 'slurm', '--amp']
    assert {'--ntasks=4', '--job-name=job', '--time', '10'} <= set(output)
