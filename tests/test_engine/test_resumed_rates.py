# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Resume small runs of mmengine's Runner, and compare every learning rate.

test_resumable_checkpoint_hook.py stops and resumes runs of AFA.
"""
import itertools

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, MODELS
from mmengine.runner import Runner
from torch import nn

from mmseg_afa.utils import CheckpointError

NUMBERS = itertools.count()
LINEAR = [
    dict(type='LinearLR', start_factor=1e-6, begin=0, end=5, by_epoch=False),
    dict(
        type='LinearLR',
        start_factor=0.9,
        end_factor=0.,
        begin=4,
        end=13,
        by_epoch=False)
]
POLY = [
    LINEAR[0],
    dict(type='PolyLR', power=0.9, begin=4, end=13, by_epoch=False),
    dict(type='CosineAnnealingMomentum', T_max=12, by_epoch=False)
]


@MODELS.register_module()
class TinyNet(BaseModel):

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = self.second(self.first(torch.stack(inputs)))
        return dict(loss=out.square().mean())


@DATASETS.register_module()
class TinySet(torch.utils.data.Dataset):

    def __len__(self):
        return 16

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(int(index))
        return dict(inputs=torch.rand(2, generator=generator))


@HOOKS.register_module()
class RateRecorder(Hook):
    """Record the rates and momenta of every group before each step."""

    def before_train(self, runner):
        runner.rates = {}

    def before_train_iter(self, runner, *args, **kwargs):
        runner.rates[runner.iter] = [
            (group['lr'], group['initial_lr'], group.get('betas'))
            for group in runner.optim_wrapper.param_groups
        ]


def run(work_dir,
        max_iters=12,
        scheduler=LINEAR,
        lr=1e-2,
        resume=None,
        batch_size=4):
    """Train; without `resume`, save a checkpoint after every iteration."""
    runner = Runner.from_cfg(
        dict(
            default_scope='mmengine',
            model=dict(type='TinyNet'),
            work_dir=str(work_dir),
            experiment_name=f'schedulers_{next(NUMBERS)}',
            train_dataloader=dict(
                batch_size=batch_size,
                num_workers=0,
                sampler=dict(type='mmseg.ResumableSampler', shuffle=True),
                dataset=dict(type='TinySet')),
            train_cfg=dict(by_epoch=False, max_iters=max_iters),
            optim_wrapper=dict(
                optimizer=dict(type='AdamW', lr=lr),
                paramwise_cfg=dict(
                    custom_keys=dict(
                        first=dict(lr_mult=0.), second=dict(lr_mult=10.)))),
            param_scheduler=scheduler,
            randomness=dict(seed=0),
            load_from=resume and str(resume),
            resume=resume is not None,
            custom_hooks=[dict(type='RateRecorder')],
            default_hooks=dict(
                checkpoint=dict(
                    type='mmseg.ResumableCheckpointHook',
                    by_epoch=False,
                    interval=1 if resume is None else 100))))
    runner.train()
    return runner


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Return whole runs, each with a checkpoint of every iteration."""
    return {
        name: run(tmp_path_factory.mktemp(name), scheduler=scheduler)
        for name, scheduler in dict(linear=LINEAR, poly=POLY).items()
    }


@pytest.mark.parametrize('name, scheduler, done', [
    ('linear', LINEAR, 4),
    ('linear', LINEAR, 11),
    ('poly', POLY, 6),
])
def test_equal_config(runs, tmp_path, name, scheduler, done):
    """End with the same rates and weights, to the last bit."""
    whole = runs[name]
    resumed = run(
        tmp_path,
        scheduler=scheduler,
        resume=f'{whole.work_dir}/iter_{done}.pth')
    assert list(resumed.rates) == [*range(done, 12)]
    assert resumed.rates == {i: whole.rates[i] for i in range(done, 12)}
    for mine, other in zip(resumed.model.parameters(),
                           whole.model.parameters()):
        assert torch.equal(mine, other)


def test_longer_schedule(tmp_path):
    """Follow the rates of the longer schedule, also at the old end."""
    longer = [LINEAR[0], dict(LINEAR[1], end=25)]
    run(tmp_path / 'short')
    expected = run(tmp_path / 'whole', 24, longer).rates
    resumed = run(
        tmp_path, 24, longer, resume=tmp_path / 'short/iter_12.pth').rates
    assert resumed == {i: expected[i] for i in range(12, 24)}
    assert resumed[23][2][0] > 0


def test_another_learning_rate(runs, tmp_path):
    linear = runs['linear']
    resumed = run(tmp_path, lr=0.5, resume=f'{linear.work_dir}/iter_6.pth')
    for i in range(6, 12):
        assert resumed.rates[i][2][0] == pytest.approx(50 *
                                                       linear.rates[i][2][0])


def test_another_number_of_images(runs, tmp_path):
    path = f'{runs["linear"].work_dir}/iter_6.pth'
    with pytest.raises(CheckpointError) as error:
        run(tmp_path, resume=path, batch_size=2)
    assert str(error.value) == (
        f'{path}: from a run with 4 images an iteration, but this run has 2 '
        '(1 x 2). Change train_dataloader.batch_size or the number of '
        'processes. To train on with 2, start a new run from the weights: '
        f'load_from={path} without --resume.')


def test_complete_run(runs, tmp_path):
    """Say that nothing is left to train."""
    path = f'{runs["linear"].work_dir}/iter_12.pth'
    resumed = run(tmp_path, 10, resume=path)
    assert resumed.rates == {}
    log, = (text.read_text() for text in tmp_path.glob('*/*.log'))
    assert f'{path}: the run is complete.' in log


def test_weights_alone(runs, tmp_path):
    """Refuse a best checkpoint, which has no optimizer."""
    runs['linear'].save_checkpoint(
        str(tmp_path), 'best_mIoU_iter_12.pth', save_optimizer=False)
    with pytest.raises(CheckpointError, match='Resume from a file iter_N'):
        run(tmp_path, resume=tmp_path / 'best_mIoU_iter_12.pth')
