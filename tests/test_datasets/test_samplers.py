# Copyright (c) mmseg_afa contributors. All rights reserved.
import multiprocessing
import os
import signal
import time
from collections import UserList
from itertools import islice
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mmseg_afa.datasets import ignore_sigterm_in_worker
from mmseg_afa.datasets.samplers import ResumableSampler
from mmseg_afa.utils import UserError

DATASET = dict(
    type='WeakLabelDataset',
    label_file='image_labels.txt',
    data_prefix=dict(img_path='JPEGImages'),
    pipeline=[
        dict(type='LoadWeakImage'),
        dict(type='RandomScale', ratio_range=(0.5, 2.)),
        dict(type='RandomFlip', prob=0.5),
        dict(type='WeakRandomCrop', crop_size=(32, 32)),
        dict(type='PackWeakSegInputs')
    ])


@pytest.fixture(autouse=True)
def dataset(data_root):
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield DATASETS.build(dict(DATASET, data_root=str(data_root)))


@pytest.mark.parametrize('size, world_size, start, shuffle', [
    (20, 1, 7, True),
    (7, 3, 40, True),
    (3, 5, 11, False),
])
def test_any_start_and_any_number_of_processes(size, world_size, start,
                                               shuffle):
    """Keep mmengine's order."""
    theirs = InfiniteSampler(range(size), shuffle, seed=1)
    images = UserList(range(size))
    whole = list(islice(ResumableSampler(images, shuffle, seed=1), 80))
    assert [index for index, _ in whole] == list(islice(theirs, 80))
    assert len({seed for _, seed in whole}) == 80
    spread = []
    for rank in range(world_size):
        with mock.patch('mmengine.dataset.sampler.get_dist_info', lambda:
                        (rank, world_size)):
            sampler = ResumableSampler(images, shuffle, seed=1)
        sampler.start = start
        spread.append(list(islice(sampler, 8)))
    together = [one for images in zip(*spread) for one in images]
    assert together == whole[start:start + 8 * world_size]


def samples(dataset, num_workers, start=0):
    """Six batches, as the Runner loads them."""
    loader = Runner.build_dataloader(
        dict(
            dataset=dataset,
            batch_size=2,
            num_workers=num_workers,
            sampler=dict(type='ResumableSampler')),
        seed=5)
    loader.sampler.start = start
    return [image for batch in islice(loader, 6) for image in batch['inputs']]


def test_the_same_crops_for_any_number_of_workers(dataset):
    alone = samples(dataset, 0)
    assert all(map(torch.equal, alone, samples(dataset, 2)))
    assert all(map(torch.equal, alone[4:], samples(dataset, 1, start=4)))
    assert not torch.equal(alone[0], samples(dataset, 0, start=1)[0])


@pytest.mark.parametrize('wrap', [
    lambda one: dict(type='ConcatDataset', datasets=[one, one]),
    lambda one: dict(type='RepeatDataset', dataset=one, times=3),
    lambda one: dict(
        type='ClassBalancedDataset', dataset=one, oversample_thr=1.),
    lambda one: dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type='ConcatDataset',
            datasets=[dict(one, pipeline=DATASET['pipeline'][:1])]),
        pipeline=DATASET['pipeline'][1:])
])  # yapf: disable
def test_in_other_data_sets(dataset, data_root, wrap):
    """Augment an image by its position in the order, whatever wraps it."""
    wrapped = wrap(dict(DATASET, data_root=str(data_root)))
    alone, later = samples(wrapped, 0), samples(wrapped, 1, start=4)
    assert all(map(torch.equal, alone[4:], later))


def test_rare_classes_repeat(data_root):
    """Let ClassBalancedDataset read the tags: five classes, two 'cat's."""
    balanced = DATASETS.build(
        dict(
            type='ClassBalancedDataset',
            dataset=dict(DATASET, data_root=str(data_root)),
            oversample_thr=1 / 3))
    assert balanced.repeat_indices == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert [balanced.get_cat_ids(i) for i in (0, 1, 9)] == [[1], [2], [1]]


class Tagged(UserList):
    """Images that are their tags."""

    def get_data_info(self, index):
        return dict(image_label=np.array([self[index], 0]))


def draw(tags, count, start=0, **options):
    sampler = ResumableSampler(Tagged(tags), seed=3, **options)
    sampler.start = start
    return list(islice(sampler, count))


@pytest.mark.parametrize('shuffle', [True, False])
def test_few_images_without_tags(shuffle):
    """Draw all 6 tagged images and 2 of 10 others in each pass of 8."""
    tags = [0, 0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 0]
    options = dict(shuffle=shuffle, empty_share=0.25)
    drawn = draw(tags, 80, **options)
    indices = np.array([index for index, _ in drawn]).reshape(10, 8)
    tagged, empty = np.flatnonzero(tags), np.flatnonzero(1 - np.array(tags))
    others = []
    for row in indices:
        assert sorted(set(row) & set(tagged)) == tagged.tolist()
        others += sorted(set(row) - set(tagged))
    assert sorted(others[:10]) == sorted(others[10:]) == empty.tolist()
    assert draw(tags, 60, start=20, **options) == drawn[20:]
    assert len({seed for _, seed in drawn}) == 80


@pytest.mark.parametrize('tags, share', [
    ([1, 1, 1, 1], 0.),
    ([0, 1, 1, 1], 0.25),
    ([0, 1, 1, 1], 0.9),
])
def test_balancing_changes_nothing_where_tags_suffice(tags, share):
    assert draw(tags, 40, empty_share=share) == draw(tags, 40)


def test_no_image_without_tags():
    assert {i for i, _ in draw([0, 1, 1], 40, empty_share=0)} == {1, 2}


@pytest.mark.parametrize('images, share', [
    (Tagged([0, 1]), 1.),
    (Tagged([0, 1]), -0.1),
    (Tagged([0, 0]), 0.25),
    (UserList([0, 1]), 0.25),
])
def test_balancing_needs_tags(images, share):
    with pytest.raises(UserError, match=f'empty_share: found {share}, expec'):
        ResumableSampler(images, seed=0, empty_share=share)


@pytest.mark.parametrize('wrap', [
    lambda one: dict(type='ConcatDataset', datasets=[one, one]),
    lambda one: dict(type='RepeatDataset', dataset=one, times=2),
])
def test_balancing_in_other_data_sets(data_root, tmp_path, wrap):
    labels = (data_root / 'image_labels.txt').read_text().splitlines()
    few = tmp_path / 'few.txt'
    few.write_text('\n'.join(
        [*labels[:3], *(f'{line.split(":")[0]}:' for line in labels[3:])]))
    one = dict(DATASET, data_root=str(data_root), label_file=str(few))
    images = DATASETS.build(wrap(one))
    sampler = ResumableSampler(images, seed=0, empty_share=0.34)
    drawn = [index % 6 for index, _ in islice(sampler, 18)]
    assert sum(index < 2 for index in drawn) == 12


class ProcessNumbers:

    def __len__(self):
        return 1000

    def __getitem__(self, index):
        return os.getpid()


def serve(pipe):
    """Train, so to speak: send a worker's process number on each request."""
    loader = DataLoader(
        ProcessNumbers(),
        1,
        num_workers=1,
        prefetch_factor=1,
        worker_init_fn=ignore_sigterm_in_worker)
    for batch in loader:
        if pipe.recv() == 'stop':
            break
        pipe.send(int(batch))


@pytest.fixture
def training():
    """Start a training process; return it and a function that asks it."""
    fork = multiprocessing.get_context('fork')
    here, there = fork.Pipe()
    process = fork.Process(target=serve, args=(there, ))
    process.start()

    def ask():
        here.send('next')
        assert here.poll(60)
        return here.recv()

    process.pipe, process.ask = here, ask
    yield process
    process.kill()
    process.join()


def ends(worker):
    """Wait until a process has ended."""
    for _ in range(200):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_a_worker_ends_with_its_parent_only(training):
    worker = training.ask()
    os.kill(worker, signal.SIGTERM)
    assert [training.ask() for _ in range(5)] == [worker] * 5
    training.pipe.send('stop')
    training.join(60)
    assert training.exitcode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_worker_ends_with_a_killed_parent(training):
    worker = training.ask()
    training.kill()
    training.join()
    assert ends(worker)
