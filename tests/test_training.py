# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Whole runs of AFA through the tools, in one process and in two."""
import json
import shutil

import cv2
import numpy as np
import pytest
import torch

from tests.benchmarks.kills import equal, last_state
from tests.test_tools.run_tool import ROOT, run, run_here, scalars
from tools import test, train

CONFIG = ROOT / 'configs/afa/afa_mit-b0_demo.py'
CLASSES = ('cat', 'cow', 'dog', 'bird', 'fish')
SCORES = ('mIoU', 'cam_given_tags/mIoU', 'affinity_cam_given_tags/mIoU',
          'image_label/F1', 'image_label/mAP')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Noise with tags. What lies where the masks of the training images
    would be cannot be opened: it is a folder."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'SegmentationClassAug',
                   'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    labels = ['# ' + ','.join(CLASSES)]
    for split, number in (('trainaug', 16), ('val', 4)):
        stems = [f'{split}_{i}' for i in range(number)]
        (root /
         f'ImageSets/Segmentation/{split}.txt').write_text('\n'.join(stems) +
                                                           '\n')
        for stem in stems:
            image = rng.integers(256, size=(100, 110, 3), dtype=np.uint8)
            cv2.imwrite(str(root / f'JPEGImages/{stem}.jpg'), image)
            shown = rng.choice(len(CLASSES), 2, replace=False)
            labels.append(f'{stem}: ' + ','.join(CLASSES[i] for i in shown))
            mask = root / f'SegmentationClassAug/{stem}.png'
            if split == 'trainaug':
                mask.mkdir()
            else:
                bands = np.repeat([0, *shown + 1], (10, 50, 50))
                cv2.imwrite(
                    str(mask), np.tile(bands.astype('uint8'), (100, 1)))
    (root / 'image_labels.txt').write_text('\n'.join(labels) + '\n')
    return root


@pytest.fixture(scope='module')
def options(data):
    """Twenty steps through all three phases, each of them logged, of 4 images
    (the config is for 8)."""
    return [
        *(f'{split}_dataloader.dataset.data_root={data}'
          for split in ('train', 'val', 'test')),
        'train_dataloader.dataset.data_prefix.seg_map_path='
        'SegmentationClassAug', 'train_dataloader.batch_size=4',
        'auto_scale_lr=None', 'train_cfg.max_iters=20',
        'train_cfg.val_interval=20', 'model.train_cfg.cam_iters=5',
        'model.train_cfg.switch_iter=12', 'param_scheduler.0.end=3',
        'param_scheduler.1.begin=2', 'param_scheduler.1.end=21',
        'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=10', 'log_processor.window_size=1'
    ]


@pytest.fixture(scope='module')
def trained(tmp_path_factory, options):
    """The work folder of a run with validation."""
    work_dir = tmp_path_factory.mktemp('trained')
    run_here(train.main, work_dir, options, CONFIG)
    return work_dir


def test_phases_and_scores(trained):
    found = scalars(trained)
    assert list(found['decode.loss_cls']) == [*range(1, 21)]
    # iterations count from 0: classification only while <= 5
    assert list(found['decode.loss_seg']) == [*range(7, 21)]
    assert list(found['affinity.loss_aff']) == [*range(7, 21)]
    assert set(SCORES) <= set(found)
    assert list(trained.glob('best_mIoU_iter_20.pth'))


def test_resume(trained, tmp_path, options):
    """A run that was stopped ends as if it had not been, to the last bit; the
    scores that are due where it goes on are made up for."""
    shutil.copy(trained / 'iter_10.pth', tmp_path)
    run_here(train.main, tmp_path, [
        *options, 'train_cfg.val_interval=10', 'train_dataloader.num_workers=2'
    ], CONFIG, '--resume')
    found = scalars(tmp_path)
    assert list(found['decode.loss_seg']) == [*range(11, 21)]
    assert list(found['mIoU']) == [10, 20]
    assert equal(last_state(tmp_path, 20), last_state(trained, 20))


@pytest.mark.parametrize('tta', [[], ['--tta']])
def test_test(trained, tmp_path, options, tta):
    log = run_here(test.main, tmp_path, options, CONFIG,
                   trained / 'iter_20.pth', *tta, '--out', tmp_path / 'masks')
    assert all(f' {score}: ' in log for score in SCORES)
    assert len(list((tmp_path / 'masks').glob('*.png'))) == 4


# Nothing random but the order of the images, and no batch normalisation:
# then a batch does not depend on how it is spread.
PLAIN_CONFIG = """
_base_ = ['mmseg_afa::afa/afa_mit-b0_demo.py']
model = dict(
    backbone=dict(drop_path_rate=0.),
    decode_head=dict(
        dropout_ratio=0.,
        norm_cfg=dict(_delete_=True, type='GN', num_groups=32)))
optim_wrapper = dict(optimizer=dict(lr=6e-5))  # the paper's
train_dataloader = dict(
    dataset=dict(pipeline=[
        dict(type='LoadWeakImage'),
        dict(type='Resize', scale=(96, 96)),
        dict(type='WeakRandomCrop', crop_size=(96, 96)),
        dict(type='PackWeakSegInputs')
    ]))
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'plain.py'
    path.write_text(PLAIN_CONFIG)
    return path


@pytest.fixture(scope='module')
def two(tmp_path_factory, config, options):
    """The work folder of two processes on the CPU, which train and test."""
    work_dir = tmp_path_factory.mktemp('two')
    run('env', 'CUDA_VISIBLE_DEVICES=', 'tools/dist_run.sh',
        '../tests/train_and_test.py', 2, config, '--work-dir', work_dir,
        '--cfg-options', *options, 'train_dataloader.batch_size=2',
        'custom_hooks.0.interval=5')
    return work_dir


@pytest.mark.parametrize('parts', [1, 2])
def test_losses_and_scores_of_two_are_those_of_one(tmp_path, config, two,
                                                   options, parts):
    """The same batch: in two processes, in one, and in one in two parts."""
    run_here(train.main, tmp_path,
             [*options, f'model.train_cfg.accumulative_counts={parts}'],
             config)
    alone, spread = scalars(tmp_path), scalars(two)
    losses = {name for name in alone if 'loss' in name}
    assert losses == {name for name in spread if 'loss' in name}
    assert 'affinity.loss_aff' in losses
    for name in losses:
        assert spread[name] == pytest.approx(alone[name], abs=1e-4)
    for name in SCORES:
        assert spread[name] == pytest.approx(alone[name], abs=0.1)


def test_two_in_mixed_precision(tmp_path, config, two, options):
    """Where the CPU has no bfloat16 it is float32 again."""
    run('env', 'CUDA_VISIBLE_DEVICES=', 'tools/dist_train.sh', config, 2,
        '--amp', '--work-dir', tmp_path, '--cfg-options', *options,
        'train_dataloader.batch_size=2', 'custom_hooks.0.interval=99')
    whole, half = scalars(two)['loss'], scalars(tmp_path)['loss']
    assert list(half) == list(whole)
    assert half[1] == pytest.approx(whole[1], rel=0.02)
    assert all(value < 10 for value in half.values())  # nor NaN


def test_resume_of_two(tmp_path, config, two, options):
    """Each process goes on with its own random numbers and images."""
    shutil.copy(two / 'iter_10.pth', tmp_path)
    run('env', 'CUDA_VISIBLE_DEVICES=', 'tools/dist_train.sh', config, 2,
        '--resume', '--work-dir', tmp_path, '--cfg-options', *options,
        'train_dataloader.batch_size=2', 'custom_hooks.0.interval=99')
    assert equal(last_state(tmp_path, 20), last_state(two, 20))


def test_pictures_of_two(two):
    """The main process draws in each phase, and the other waits for it."""
    assert {path.name
            for path in two.glob('*/vis_data/vis_image/*')
            } == {f'pseudo_labels_{step}.png'
                  for step in (5, 10, 15, 20)}


def test_weights_agree_and_random_numbers_differ(two):
    """Else drop path, dropout and crops are alike in all processes."""
    first, second = (
        json.loads((two / f'rank_{rank}.json').read_text())
        for rank in range(2))
    assert first['before'] == second['before']
    assert first['after'] == second['after'] != first['before']
    for mine, other in zip(first['drawn'], second['drawn']):
        assert mine != other


def test_test_in_two_processes(two):
    state = torch.load(two / 'iter_20.pth', weights_only=True)['state_dict']
    assert not any(key.startswith('module.') for key in state)
    log, = (two / 'test').glob('*/*.log')
    score = scalars(two)['mIoU'][20]
    assert score > 0 and f' mIoU: {score:.4f} ' in log.read_text()
