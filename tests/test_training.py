# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Whole runs of AFA through the tools, in one process and in two."""
import json

import cv2
import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_flatten

from tests.test_tools.run_tool import ROOT, run, run_here, scalars
from tests.train_and_test import TRUSTED
from tools import test, train

CONFIG = ROOT / 'configs/afa/afa_mit-b0_demo.py'
CLASSES = ('cat', 'cow', 'dog', 'bird', 'fish')
SCORES = ('mIoU', 'cam_given_tags/mIoU', 'affinity_cam_given_tags/mIoU',
          'image_label/F1', 'image_label/mAP')
ITERATIONS = range(1, 9)


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    """Write noise with tags.

    The masks of the training images cannot be opened: they are folders.
    """
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'SegmentationClassAug',
                   'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    labels = ['# ' + ','.join(CLASSES)]
    for split, number in (('trainaug', 16), ('val', 4)):
        stems = [f'{split}_{i}' for i in range(number)]
        listed = root / f'ImageSets/Segmentation/{split}.txt'
        listed.write_text('\n'.join(stems) + '\n')
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
    (root / 'trusted').mkdir()
    cv2.imwrite(
        str(root / 'trusted/trainaug_3.png'),
        np.tile(bands.astype('uint8'), (100, 1)))
    return root


@pytest.fixture(scope='session')
def options(data):
    """Take eight steps of 4 images through all three phases, and log each."""
    return [
        *(f'{split}_dataloader.dataset.data_root={data}'
          for split in ('train', 'val', 'test')),
        'train_dataloader.dataset.data_prefix.seg_map_path='
        'SegmentationClassAug', 'train_dataloader.batch_size=4',
        'auto_scale_lr=None', 'train_cfg.max_iters=8',
        'train_cfg.val_interval=8', 'model.train_cfg.cam_iters=1',
        'model.train_cfg.switch_iter=4', 'param_scheduler.0.end=3',
        'param_scheduler.1.begin=2', 'param_scheduler.1.end=9',
        'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=4', 'log_processor.window_size=1'
    ]


@pytest.fixture(scope='session')
def trained(tmp_path_factory, options):
    """Train with validation; the work folder."""
    work_dir = tmp_path_factory.mktemp('trained')
    run_here(train.main, work_dir, options, CONFIG)
    return work_dir


def assert_same_state(first, second):
    """Compare weights and optimizer of two last checkpoints bit by bit."""
    states = []
    for work_dir in (first, second):
        state = torch.load(work_dir / 'iter_8.pth', weights_only=True)
        states.append(tree_flatten([state['state_dict'], state['optimizer']]))
    (leaves, structure), (others, other_structure) = states
    assert structure == other_structure
    for leaf, other in zip(leaves, others):
        tensors = isinstance(leaf, torch.Tensor)
        assert torch.equal(leaf, other) if tensors else leaf == other


def test_phases_and_scores(trained):
    found = scalars(trained)
    assert list(found['decode.loss_cls']) == [*ITERATIONS]
    # iterations count from 0: classification only while <= 1
    assert list(found['decode.loss_seg']) == [*range(3, 9)]
    assert list(found['affinity.loss_aff']) == [*range(3, 9)]
    assert set(SCORES) <= set(found)
    assert list(trained.glob('best_mIoU_iter_8.pth'))


def test_resume_is_exact(tmp_path, options, trained):
    """Resume with other loader processes, at an iteration with scores due."""
    checkpoint = trained / 'iter_4.pth'
    run_here(train.main, tmp_path, [
        *options, 'train_cfg.val_interval=4', 'train_dataloader.num_workers=2'
    ], CONFIG, '--resume', checkpoint)
    found = scalars(tmp_path)
    assert list(found['decode.loss_seg']) == [*range(5, 9)]
    assert list(found['mIoU']) == [4, 8]
    assert_same_state(tmp_path, trained)


@pytest.mark.parametrize('tta', [[], ['--tta']])
def test_test(trained, tmp_path, options, tta):
    log = run_here(test.main, tmp_path, options, CONFIG,
                   trained / 'iter_8.pth', *tta, '--out', tmp_path / 'masks')
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


@pytest.fixture(scope='session')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('config') / 'plain.py'
    path.write_text(PLAIN_CONFIG)
    return path


@pytest.fixture(scope='session')
def two(tmp_path_factory, config, options):
    """Run tests/train_and_test.py in two processes on the CPU.

    Its work folders are whole, resumed, amp, trusted and tested.
    """
    folder = tmp_path_factory.mktemp('two')
    run('env', 'CUDA_VISIBLE_DEVICES=', 'tools/dist_run.sh',
        '../tests/train_and_test.py', 2, config, folder, 'iter_4.pth',
        'iter_8.pth', *options, 'train_dataloader.batch_size=2')
    return folder


def test_losses_and_scores_of_two_are_those_of_one(tmp_path, config, two,
                                                   options):
    run_here(train.main, tmp_path, options, config)
    alone, spread = scalars(tmp_path), scalars(two / 'whole')
    losses = {name for name in alone if 'loss' in name}
    assert losses == {name for name in spread if 'loss' in name}
    assert 'affinity.loss_aff' in losses
    for name in losses:
        assert spread[name] == pytest.approx(alone[name], abs=1e-4)
    for name in SCORES:
        assert spread[name] == pytest.approx(alone[name], abs=0.1)


def test_trusted_mask_of_one_process(tmp_path, config, two, options):
    """Train as one process, from the classification phase on."""
    run_here(train.main, tmp_path, [*options, *TRUSTED], config)
    alone, spread = scalars(tmp_path), scalars(two / 'trusted')
    first = min(alone['decode.loss_seg'])
    assert first < 7  # in the classification phase
    assert alone['decode.loss_seg'].keys() == spread['decode.loss_seg'].keys()
    for name in ('decode.loss_cls', 'decode.loss_seg', 'affinity.loss_aff'):
        assert spread[name] == pytest.approx(alone[name], abs=1e-4)


def test_two_in_mixed_precision(two):
    """Train in float32 where the CPU has no bfloat16."""
    whole, half = (scalars(two / name)['loss'] for name in ('whole', 'amp'))
    assert list(half) == list(whole)
    assert half[1] == pytest.approx(whole[1], rel=0.02)
    assert all(value < 10 for value in half.values())  # nor NaN


def test_resume_of_two(two):
    """Each process resumes its own random numbers and images."""
    assert_same_state(two / 'resumed', two / 'whole')


def test_random_numbers_differ(two):
    """Else drop path, dropout and crops are alike in all processes."""
    drawn = (
        json.loads((two / f'whole/rank_{rank}.json').read_text())
        for rank in range(2))
    assert all(mine != other for mine, other in zip(*drawn))


def test_test_in_two_processes(two):
    state = torch.load(
        two / 'whole/iter_8.pth', weights_only=True)['state_dict']
    assert not any(key.startswith('module.') for key in state)
    log, = (two / 'tested').glob('*/*.log')
    score = scalars(two / 'whole')['mIoU'][8]
    assert score > 0 and f' mIoU: {score:.4f} ' in log.read_text()
