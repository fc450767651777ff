# Copyright (c) mmseg_afa contributors. All rights reserved.
"""tools/train.py, tools/test.py and their shell scripts, as they are used.

They run a plain mmsegmentation model, so a failure here is a failure of the
tools and of nothing else. tests/test_training.py runs them in two processes.
"""

import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmseg_afa.engine import cpu_distributed, launch
from tests.test_tools.run_tool import ROOT, run, run_here, scalars
from tools import test, train

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
def options(data_root) -> list:
    """The settings that point the config to the data."""
    return [
        f'{part}_dataloader.dataset.data_root={data_root}'
        for part in ('train', 'val', 'test')
    ]


@pytest.fixture(scope='module')
def trained(tmp_path_factory, options) -> Path:
    """The work folder of a training run of three iterations."""
    work_dir = tmp_path_factory.mktemp('work')
    run_here(train.main, CONFIG, work_dir=work_dir, options=options)
    return work_dir


def steps(work_dir: Path) -> list:
    """The iterations that were trained in a work folder."""
    return list(scalars(work_dir)['loss'])


def test_train(trained):
    assert steps(trained) == [1, 2, 3]
    checkpoint = torch.load(trained / 'iter_3.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 3
    assert checkpoint['message_hub']['log_scalars']


def test_resume_the_latest(trained, options, tmp_path):
    (tmp_path / 'iter_3.pth').symlink_to(trained / 'iter_3.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_3.pth'))
    run_here(
        train.main,
        CONFIG,
        '--resume',
        work_dir=tmp_path,
        options=[*options, 'train_cfg.max_iters=5'])
    assert steps(tmp_path) == [4, 5]


def test_resume_by_name(trained, options, tmp_path):
    run_here(
        train.main,
        CONFIG,
        '--resume',
        trained / 'iter_3.pth',
        work_dir=tmp_path,
        options=[*options, 'train_cfg.max_iters=4'])
    assert steps(tmp_path) == [4]


class TestStrangersCheckpoint:
    """mmengine executes the config in a checkpoint that it resumes from."""

    @pytest.fixture
    def stranger(self, trained, tmp_path):
        checkpoint = torch.load(trained / 'iter_3.pth', weights_only=True)
        checkpoint['meta']['config'] = checkpoint['meta']['cfg'] = (
            f'a = open({str(tmp_path / "executed")!r}, "w").name')
        torch.save(checkpoint, tmp_path / 'stranger.pth')
        yield tmp_path / 'stranger.pth'
        assert not (tmp_path / 'executed').exists()

    def test_resume(self, stranger, options, tmp_path):
        options = [*options, 'train_cfg.max_iters=4']
        run_here(
            train.main,
            CONFIG,
            '--resume',
            stranger,
            work_dir=tmp_path,
            options=options)
        assert steps(tmp_path) == [4]

    def test_load_from(self, stranger, options, tmp_path):
        options = [*options, f'load_from={stranger}', 'train_cfg.max_iters=1']
        run_here(train.main, CONFIG, work_dir=tmp_path, options=options)
        assert steps(tmp_path) == [1]

    def test_test(self, stranger, options, tmp_path):
        assert 'mIoU:' in run_here(
            test.main, CONFIG, stranger, work_dir=tmp_path, options=options)


def test_test_writes_predictions_and_pictures(trained, options, tmp_path):
    output = run_here(
        test.main,
        CONFIG,
        trained / 'iter_3.pth',
        '--out',
        tmp_path / 'out',
        '--show-dir',
        tmp_path / 'shown',
        work_dir=tmp_path,
        options=options)
    assert 'mIoU:' in output
    written = sorted((tmp_path / 'out').iterdir())
    assert [path.name for path in written
            ] == [f'{index:02}.png' for index in range(NUM_IMAGES)]
    mask = cv2.imread(str(written[0]), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (64, 64) and mask.max() < 3
    assert len(list((tmp_path / 'shown').rglob('*.png'))) == NUM_IMAGES


def test_tta(trained, options, tmp_path):
    assert 'mIoU:' in run_here(
        test.main,
        CONFIG,
        trained / 'iter_3.pth',
        '--tta',
        work_dir=tmp_path,
        options=options)


class TestOutputDir:

    def evaluator(self, metrics):
        cfg = Config(dict(test_evaluator=metrics))
        test.set_output_dir(cfg, 'out')
        return cfg.test_evaluator

    def test_one_metric(self):
        assert self.evaluator(dict(type='IoUMetric')).output_dir == 'out'

    def test_a_parent_has_it(self):
        metrics = [dict(type='CityscapesMetric', output_dir='own')]
        assert self.evaluator(metrics)[0].output_dir == 'out'

    def test_only_the_first_that_can(self):
        metrics = self.evaluator([
            dict(type='mmengine.DumpResults', out_file_path='a.pkl'),
            dict(type='IoUMetric'),
            dict(type='IoUMetric', prefix='again')
        ])
        assert ['output_dir' in metric
                for metric in metrics] == [False, True, False]

    def test_none(self):
        with pytest.raises(SystemExit, match='DumpResults'):
            self.evaluator(
                [dict(type='mmengine.DumpResults', out_file_path='a.pkl')])


class TestMistakes:
    """Each stops in one line that says what was found and what to do."""

    def message(self, main, *arguments) -> str:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        assert isinstance(stop.value.code, str)
        assert '\n' not in stop.value.code
        return stop.value.code

    @pytest.mark.parametrize('main, checkpoint', [(train.main, []),
                                                  (test.main, ['x.pth'])])
    def test_no_config(self, main, checkpoint):
        assert 'none.py: no such config file' in self.message(
            main, 'none.py', *checkpoint)

    @pytest.mark.parametrize('main, option', [(train.main, ['--resume']),
                                              (test.main, [])])
    def test_no_checkpoint(self, main, option):
        assert 'none.pth: no such checkpoint' in self.message(
            main, CONFIG, *option, 'none.pth')

    def test_damaged_checkpoint(self, tmp_path, options):
        (tmp_path / 'bad.pth').write_bytes(b'<html>not found</html>')
        assert 'bad.pth: not a checkpoint' in self.message(
            test.main, CONFIG, tmp_path / 'bad.pth', '--work-dir', tmp_path,
            '--cfg-options', *options)

    def test_amp_without_a_gpu(self, monkeypatch):
        monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
        assert 'leave out --amp' in self.message(train.main, CONFIG, '--amp')

    def test_slurm_without_a_gpu(self, monkeypatch):
        monkeypatch.setattr(cpu_distributed, 'get_device', lambda: 'cpu')
        assert 'slurm needs a GPU' in self.message(train.main, CONFIG,
                                                   '--launcher', 'slurm')

    def test_nothing_to_draw_with(self, tmp_path, trained):
        config = tmp_path / 'config.py'
        config.write_text(f"_base_ = '{CONFIG}'\n"
                          'default_hooks = dict(_delete_=True)\n')
        assert 'SegVisualizationHook' in self.message(test.main, config,
                                                      trained / 'iter_3.pth',
                                                      '--show-dir', 'x')

    def test_no_tta_in_the_config(self, tmp_path, trained):
        config = tmp_path / 'config.py'
        config.write_text(CONFIG.read_text().replace('tta_model', 'other'))
        assert 'needs tta_model in the config' in self.message(
            test.main, config, trained / 'iter_3.pth', '--tta')


class TestShellScripts:
    """What they hand on, through a python and an srun that print it."""

    @pytest.fixture
    def echo(self, tmp_path, monkeypatch):
        script = tmp_path / 'srun'
        script.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        script.chmod(0o755)
        monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
        return script

    @pytest.mark.parametrize(
        'tool',
        ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'])
    def test_usage(self, tool):
        process = subprocess.run([ROOT / 'tools' / tool],
                                 stderr=subprocess.PIPE,
                                 text=True)
        assert process.returncode == 2
        assert process.stderr.startswith('Usage: ')
        assert len(process.stderr.splitlines()) == 1

    @pytest.mark.parametrize('tool, named', [('train', []),
                                             ('test', ['b.pth'])])
    def test_slurm(self, echo, monkeypatch, tool, named):
        monkeypatch.setenv('GPUS', '4')
        monkeypatch.setenv('SRUN_ARGS', '--time 10')
        output = run(f'tools/slurm_{tool}.sh', 'part', 'job', 'a b.py', *named,
                     '--amp').splitlines()
        start = output.index(str(ROOT / f'tools/{tool}.py'))
        assert output[start + 1:] == [
            '--launcher', 'slurm', 'a b.py', *named, '--amp'
        ]
        assert output[:2] == ['-p', 'part']
        assert {'--ntasks=4', '--job-name=job', '--time', '10'} <= set(output)

    @pytest.mark.parametrize('tool, named', [('train', []),
                                             ('test', ['b.pth'])])
    def test_dist_on_several_machines(self, echo, tool, named):
        output = run('env', f'PYTHON={echo}', 'NNODES=2', 'NODE_RANK=1',
                     'MASTER_ADDR=there', 'bash', f'tools/dist_{tool}.sh',
                     'a b.py', *named, 4, '--amp').splitlines()
        assert output == [
            '-m', 'torch.distributed.run', '--nnodes=2', '--node-rank=1',
            '--master-addr=there', '--master-port=29500', '--nproc-per-node=4',
            str(ROOT / f'tools/{tool}.py'), '--launcher', 'pytorch', 'a b.py',
            *named, '--amp'
        ]
