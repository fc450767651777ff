# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Whole runs of AFA through the tools, as real processes."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.test_reference import reference as ref
from tools.model_converters.afa2mmseg import convert

ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'configs/afa/afa_mit-b0_demo.py'
DATASETS = ('train_dataloader.dataset', 'val_dataloader.dataset',
            'test_dataloader.dataset')


def run(*command):
    """Run a command in the repository; what it printed, if it succeeds."""
    process = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=dict(os.environ, PYTHON=sys.executable, PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True)
    assert process.returncode == 0, process.stdout[-5000:]
    return process.stdout


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A small demo data set."""
    root = tmp_path_factory.mktemp('data') / 'demo'
    run(sys.executable, 'tools/demo/make_demo_data.py', root, '--train', 16,
        '--val', 4)
    return root


@pytest.fixture(scope='module')
def overrides(data):
    """Ten steps through all three phases, one of them logged at a time."""
    return [
        '--cfg-options', *(f'{d}.data_root={data}' for d in DATASETS),
        'train_cfg.max_iters=10', 'train_cfg.val_interval=10',
        'model.train_cfg.cam_iters=2', 'model.train_cfg.switch_iter=5',
        'param_scheduler.0.end=3', 'param_scheduler.1.begin=2',
        'param_scheduler.1.end=11', 'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=5', 'log_processor.window_size=1',
        'train_dataloader.batch_size=4'
    ]


# Nothing random but the order of the images, and no batch normalisation:
# then a batch does not depend on how it is spread.
PLAIN_CONFIG = """
_base_ = ['mmseg_afa::afa/afa_mit-b0_demo.py']
model = dict(
    backbone=dict(drop_path_rate=0.),
    decode_head=dict(
        dropout_ratio=0.,
        norm_cfg=dict(_delete_=True, type='GN', num_groups=32)))
train_dataloader = dict(
    dataset=dict(pipeline=[
        dict(type='LoadWeakImage'),
        dict(type='Resize', scale=(96, 96)),
        dict(type='WeakRandomCrop', crop_size=(96, 96)),
        dict(type='PackWeakSegInputs')
    ]))
"""
NO_VALIDATION = ('val_cfg=None', 'val_dataloader=None', 'val_evaluator=None',
                 'default_hooks.checkpoint.save_best=None')


def losses(work_dir):
    """{name: values of all steps} of the run in a work folder."""
    path, = work_dir.glob('*/vis_data/scalars.json')
    steps = [json.loads(line) for line in path.read_text().splitlines()]
    out = {}
    for step in steps:
        for name, value in step.items():
            if 'loss' in name:
                out.setdefault(name, {})[step['step']] = value
    return out


@pytest.fixture(scope='module')
def trained(tmp_path_factory, overrides):
    """The work folder of a run with validation."""
    work_dir = tmp_path_factory.mktemp('trained')
    run(sys.executable, 'tools/train.py', CONFIG, '--work-dir', work_dir,
        *overrides)
    return work_dir


def test_phases_and_scores(trained):
    found = losses(trained)
    assert set(found['decode.loss_cls']) == set(range(1, 11))
    # iterations count from 0: classification only while <= 2
    assert set(found['decode.loss_seg']) == set(range(4, 11))
    assert set(found['affinity.loss_aff']) == set(range(4, 11))
    log = next(trained.glob('*/*.log')).read_text()
    for score in ('mIoU', 'cam_given_tags/mIoU',
                  'affinity_cam_given_tags/mIoU', 'image_label/F1',
                  'image_label/mAP'):
        assert f' {score}: ' in log
    assert list(trained.glob('best_mIoU_iter_10.pth'))


def test_resume(trained, tmp_path, overrides):
    """A run that was stopped goes on in the phase where it was."""
    (tmp_path / 'iter_5.pth').write_bytes(
        (trained / 'iter_5.pth').read_bytes())
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_5.pth'))
    run(sys.executable, 'tools/train.py', CONFIG, '--work-dir', tmp_path,
        '--resume', *overrides)
    resumed = losses(tmp_path)
    assert set(resumed['loss']) == set(range(6, 11))
    assert set(resumed['decode.loss_seg']) == set(range(6, 11))


def test_tools_on_a_trained_model(trained, tmp_path, overrides):
    """tools/test.py, its test-time augmentation, and the picture sheet."""
    checkpoint = trained / 'iter_10.pth'
    out = run(sys.executable, 'tools/test.py', CONFIG, checkpoint, '--out',
              tmp_path / 'masks', '--work-dir', tmp_path, *overrides)
    assert 'affinity_cam_given_tags/mIoU' in out
    assert len(list((tmp_path / 'masks').glob('*.png'))) == 4
    out = run(sys.executable, 'tools/test.py', CONFIG, checkpoint, '--tta',
              '--work-dir', tmp_path, *overrides)
    assert 'affinity_cam_given_tags/mIoU' in out
    sheet = tmp_path / 'sheet.png'
    run(sys.executable, 'tools/analysis_tools/prediction_sheet.py', CONFIG,
        checkpoint, '--out', sheet, '--num', 2, '--work-dir', tmp_path,
        *overrides)
    assert sheet.stat().st_size > 10_000


def test_training_never_opens_a_mask(data, tmp_path, overrides):
    """Masks of the training images lie there, and stay closed."""
    watcher = tmp_path / 'watch.py'
    opened = tmp_path / 'opened.txt'
    watcher.write_text(f"""
import runpy, sys
log = open({str(opened)!r}, 'w')
def watch(event, args):
    if event == 'open':
        print(args[0], file=log, flush=True)
sys.addaudithook(watch)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
""")
    masks = data / 'SegmentationClassAug'
    for image in (data / 'JPEGImages').glob('train_*.jpg'):
        (masks / f'{image.stem}.png').write_bytes(b'not even a mask')
    run(sys.executable, watcher, 'tools/train.py', CONFIG, '--work-dir',
        tmp_path, *overrides, *NO_VALIDATION,
        f'train_dataloader.dataset.data_prefix.seg_map_path={masks}')
    paths = opened.read_text().splitlines()
    assert sum(path.endswith('.jpg') for path in paths) >= 40
    assert [path for path in paths if str(masks) in path] == []


def test_two_processes_give_the_losses_of_one(tmp_path, overrides):
    """The same global batch, in one process and in two."""
    config = tmp_path / 'plain.py'
    config.write_text(PLAIN_CONFIG)
    options = [*overrides, *NO_VALIDATION]
    one, two = tmp_path / 'one', tmp_path / 'two'
    run(sys.executable, 'tools/train.py', config, '--work-dir', one, *options)
    run('bash', 'tools/dist_train.sh', config, 2, '--work-dir', two, *options,
        'train_dataloader.batch_size=2')
    alone, spread = losses(one), losses(two)
    assert set(alone) == set(spread) and 'affinity.loss_aff' in alone
    for name, values in alone.items():
        assert len(values) == len(spread[name])
        for step, value in values.items():
            assert spread[name][step] == pytest.approx(
                value, abs=1e-4), (f'{name} at step {step}')


@pytest.mark.parametrize('prefix', ['module.', ''])
def test_published_checkpoint(tmp_path, prefix):
    """The converter's output loads with nothing missing or left over."""
    name = ref.names('model_')[0]
    source, target = tmp_path / 'afa.pth', tmp_path / 'converted.pth'
    torch.save(ref.published_checkpoint(name, prefix), source)
    run(sys.executable, 'tools/model_converters/afa2mmseg.py', source, target)
    weights = torch.load(target, weights_only=True)['state_dict']
    model = ref.build_model(name)
    model.load_state_dict(weights, strict=True)
    assert set(weights) == set(convert(ref.published_checkpoint(name, prefix)))
    assert not list(tmp_path.glob('*.part'))


def test_converter_refuses_strangers(tmp_path):
    source = tmp_path / 'other.pth'
    torch.save({'layer4.weight': torch.zeros(1)}, source)
    process = subprocess.run([
        sys.executable, 'tools/model_converters/afa2mmseg.py', source,
        tmp_path / 'out.pth'
    ],
                             cwd=ROOT,
                             env=dict(os.environ, PYTHONPATH=str(ROOT)),
                             stderr=subprocess.PIPE,
                             text=True)
    assert process.returncode != 0
    assert "'layer4.weight' is no parameter of AFA" in process.stderr
    assert not (tmp_path / 'out.pth').exists()
