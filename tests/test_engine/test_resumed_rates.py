# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Resume small runs of mmengine's Runner: learning rates, and refusals.

test_resumable_checkpoint_hook.py stops and resumes runs of AFA.
"""
import itertools
import threading

import pytest
import torch
from mmengine.config import Config
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

    def __init__(self, width=3, third=False):
        super().__init__()
        self.first, self.second = nn.Linear(2, width), nn.Linear(width, 1)
        if third:
            self.third = nn.Linear(1, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = self.second(self.first(torch.stack(inputs)))
        return dict(loss=out.square().mean())


@DATASETS.register_module()
class TinySet(torch.utils.data.Dataset):

    def __init__(self, classes=('ground', 'cat')):
        self.metainfo = dict(classes=classes)

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
        batch_size=4,
        **changes):
    """Train; without `resume`, save a checkpoint after every iteration."""
    cfg = Config(
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
            load_from=None if resume in (None, True) else str(resume),
            resume=resume is not None,
            custom_hooks=[dict(type='RateRecorder')],
            default_hooks=dict(
                checkpoint=dict(
                    type='mmseg.ResumableCheckpointHook',
                    by_epoch=False,
                    interval=1 if resume is None else 100))))
    cfg.merge_from_dict(changes)
    runner = Runner.from_cfg(cfg)
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
    assert str(error.value).startswith(
        f'{path}: from a run with 4 images an iteration, and AdamW of 4 '
        'parameters in 4 groups, but this run has 2 images an iteration')


def test_complete_run(runs, tmp_path):
    """Say that nothing is left to train."""
    path = f'{runs["linear"].work_dir}/iter_12.pth'
    resumed = run(tmp_path, 10, resume=path)
    assert resumed.rates == {}
    log, = (text.read_text() for text in tmp_path.glob('*/*.log'))
    assert f'{path}: the run is complete.' in log


ONE_GROUP = {'optim_wrapper.paramwise_cfg': None}


@pytest.mark.parametrize('changes, reason', [
    ({
        'model.width': 4
    }, r'not a checkpoint of this config: first.weight has the shape \(3, 2\) '
     r'in place of \(4, 2\)'),
    ({
        'model.third': True
    }, 'not a checkpoint of this config: it has no third.weight'),
    ({
        'train_dataloader.dataset.classes': ('ground', 'dog')
    }, "trained for other classes .*: class 1 is 'cat' in place of 'dog'"),
    ({
        'optim_wrapper.optimizer.type': 'Adamax'
    }, 'from a run .* AdamW of 4 .* but this run has .* Adamax of 4'),
    (ONE_GROUP, 'from a run .* AdamW of 4 parameters in 4 groups, but this '
     'run has .* AdamW of 4 parameters in 1'),
])
def test_refused(runs, tmp_path, changes, reason):
    """Refuse what does not fit; its weights alone may start a training."""
    path = f'{runs["linear"].work_dir}/iter_6.pth'
    with pytest.raises(CheckpointError, match=f'{path}: {reason}') as error:
        run(tmp_path, resume=path, **changes)
    if 'classes' not in reason:
        assert f'load_from={path} without --resume.' in str(error.value)
        started = run(tmp_path, 2, load_from=path, **changes)
        assert list(started.rates) == [0, 1]


def test_a_part_less(runs, tmp_path):
    """Refuse moments of parameters that the model does not have."""
    run(tmp_path / 'more', 2, **{'model.third': True})
    with pytest.raises(CheckpointError, match='of 6 .* but .* of 4 '):
        run(tmp_path, resume=tmp_path / 'more/iter_2.pth')


def test_of_mmengine(runs, tmp_path):
    """Check a checkpoint of mmengine's own hook, found by its Runner."""
    run(tmp_path, 2, **{'default_hooks.checkpoint.type': 'CheckpointHook'})
    resumed = run(tmp_path, 4, resume=True)
    assert list(resumed.rates) == [2, 3]
    with pytest.raises(CheckpointError, match='/iter_4.pth: .* in 1 groups'):
        run(tmp_path, resume=True, **ONE_GROUP)


def test_weights_alone(runs, tmp_path):
    """Refuse a best checkpoint, and name the newest of its run."""
    path = tmp_path / 'best_mIoU_iter_12.pth'
    runs['linear'].save_checkpoint(
        str(tmp_path), path.name, save_optimizer=False)
    for newest in ('a file iter_N.pth', tmp_path / 'iter_7.pth'):
        with pytest.raises(CheckpointError) as error:
            run(tmp_path / 'work', resume=path)
        assert str(error.value) == (
            f'{path}: has no state of a training (optimizer), as the best '
            f'checkpoints. Resume from {newest}.')
        for number in (5, 7):
            (tmp_path / f'iter_{number}.pth').touch()
    published = tmp_path / 'published.pth'
    torch.save(runs['linear'].model.state_dict(), published)
    with pytest.raises(CheckpointError, match='message_hub, meta, optimizer'):
        run(tmp_path / 'work', resume=published)


KEEP = {
    'default_hooks.checkpoint.max_keep_ckpts': 2,
    'default_hooks.checkpoint.interval': 1
}


@pytest.mark.parametrize('where', ['here', 'elsewhere'])
def test_outdated_checkpoints(tmp_path, where):
    """Delete those of the resumed run, but none of another folder's run."""
    run(tmp_path / 'here', 4, **KEEP)
    assert names(tmp_path / 'here') == ['iter_3.pth', 'iter_4.pth']
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'elsewhere/iter_3.pth').write_text('of another run')
    run(tmp_path / where, 7, resume=tmp_path / 'here/iter_4.pth', **KEEP)
    kept = dict(here=[], elsewhere=['iter_3.pth'])[where]
    assert names(tmp_path / where) == [*kept, 'iter_6.pth', 'iter_7.pth']


def test_best_of_another_folder(tmp_path):
    """Keep the other run's best checkpoint, but compare with its score."""
    run(tmp_path / 'first', 4, **KEEP)
    path = tmp_path / 'first/iter_4.pth'
    best = tmp_path / 'first/best_mIoU_iter_4.pth'
    best.touch()
    state = torch.load(path, weights_only=True)
    state['message_hub']['runtime_info'].update(
        best_ckpt=str(best), best_score=0.5)
    torch.save(state, path)
    resumed = run(tmp_path / 'second', 5, resume=path, **KEEP)
    assert resumed.message_hub.get_info('best_score') == 0.5
    assert 'best_ckpt' not in resumed.message_hub.runtime_info


def names(folder):
    return sorted(path.name for path in folder.glob('*.pth'))


def test_training_in_a_thread(tmp_path):
    """Train where Python cannot handle signals."""
    thread = threading.Thread(target=run, args=(tmp_path, 2))
    thread.start()
    thread.join()
    assert names(tmp_path) == ['iter_1.pth', 'iter_2.pth']
