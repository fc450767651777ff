# Copyright (c) mmseg_afa contributors. All rights reserved.
import os.path as osp
import signal
import threading
import warnings
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Iterator, List, Optional

from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import BaseLoop, Runner, find_latest_checkpoint
from mmseg.registry import HOOKS

from ...models.utils import any_process, unwrap
from ...utils import (CheckpointError, checkpoints, get_rng_state,
                      remove_unfinished, set_rng_state)
from ..classes import check_checkpoint_classes

STOPPED = 128 + signal.SIGTERM  # the exit code of shells after a SIGTERM


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """Save checkpoints that allow an exact resume of iteration-based training.

    With a :class:`ResumableSampler`, a resumed run loads no image again. On
    the CPU it ends with the same weights, to the last bit.

    - The schedulers are built from the config and advanced to the iteration
      of the checkpoint: a longer schedule or another learning rate takes
      effect.
    - Other classes, another model, another optimizer and another number of
      images an iteration are refused.
    - An old checkpoint is deleted after the new one is written.
    - SIGTERM, with which clusters announce the end of a job, saves a
      checkpoint after the running iteration, and ends with the code 143.
    - A validation that was interrupted is repeated after the resume.
    - No checkpoint of another work folder is deleted.

    Args:
        *args, **kwargs: See :class:`mmengine.hooks.CheckpointHook`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.resumed: Optional[dict] = None  # 'run' of the checkpoint
        self.state_before_val: Optional[dict] = None
        self.states: List[dict] = []  # of all processes, while saving
        self.terminated = False
        self.saved: Optional[int] = None  # iteration of the newest checkpoint

    # -- resume --------------------------------------------------------------
    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check a checkpoint to resume from, and set its learning rates."""
        if not runner._resume:
            return
        where = runner._load_from or find_latest_checkpoint(runner.work_dir)
        folder = osp.dirname(where)
        missing = {'meta', 'message_hub', 'optimizer'}.difference(checkpoint)
        if missing:
            newest = checkpoints.latest_checkpoint(folder)
            raise CheckpointError(
                f'{where}: has no state of a training '
                f'({", ".join(sorted(missing))}), as the best checkpoints. '
                f'Resume from {newest or "a file iter_N.pth"}.')
        metainfo = getattr(runner.train_dataloader.dataset, 'metainfo', {})
        check_checkpoint_classes(metainfo.get('classes'), checkpoint, where)
        checkpoints.check_weights(unwrap(runner.model), checkpoint, where)
        check_run(runner, checkpoint, where)
        if osp.abspath(folder) != runner.work_dir:
            # The files that mmengine would delete belong to another run.
            info = checkpoint['message_hub']['runtime_info']
            for key in [*info]:
                if key.startswith(('best_ckpt', 'keep_ckpt_ids')):
                    del info[key]
        self.resumed = checkpoint.get('run')
        if checkpoint['meta']['iter'] >= runner.max_iters:
            runner.logger.warning(
                f'{where}: the run is complete. To train longer, raise '
                'train_cfg.max_iters and the end of the last scheduler.')
        restart_schedulers(runner, checkpoint)

    def before_run(self, runner: Runner) -> None:
        """Handle SIGTERM while the training loop runs, however it ends."""
        loop = runner._train_loop
        if isinstance(loop, BaseLoop):  # not in a test
            loop.run = self.handling_sigterm()(loop.run)

    def before_train(self, runner: Runner) -> None:
        """Continue with the image and the random states of the checkpoint."""
        super().before_train(runner)
        if is_main_process():
            remove_unfinished(self.out_dir)
        if not self.resumed:
            return
        self.saved = runner.iter
        loop = runner.train_loop
        sampler = loop.dataloader.sampler
        if hasattr(sampler, 'start'):
            sampler.start = runner.iter * images_per_iter(runner)
            sampler.seed = self.resumed['sampler_seed']
            # The loop drops one batch for each iteration of the checkpoint,
            # which the loop of onedl-mmengine can leave out.
            dropped = runner.iter
            if hasattr(loop, 'fast_forward_on_resume'):
                loop.fast_forward_on_resume, dropped = True, 0
            loop.dataloader_iterator = chain(
                repeat(None, dropped), iter(loop.dataloader))
        states = self.resumed['random_states']
        if runner.rank < len(states):  # an additional process has none
            set_rng_state(states[runner.rank])
        if self.validation_is_due(runner):
            runner.val_loop.run()

    @staticmethod
    def validation_is_due(runner: Runner) -> bool:
        """Return whether a run was stopped between checkpoint and scores."""
        loop, done = runner.train_loop, runner.iter
        due = done >= loop.val_begin and (done % loop.val_interval == 0
                                          or done == loop.max_iters)
        validated = runner.message_hub.get_info('validated', -1)
        return runner.val_loop is not None and due and validated != done

    # -- validation ----------------------------------------------------------
    def before_val(self, runner: Runner) -> None:
        """Remember the random states."""
        self.state_before_val = get_rng_state()

    def after_val_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Stop after a SIGTERM, if the last iteration is saved."""
        if self.terminated and self.saved == runner.iter:
            raise SystemExit(STOPPED)

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Save the best checkpoint; remember that the validation is done."""
        runner.message_hub.update_info('validated', runner.iter)
        super().after_val_epoch(runner, metrics)

    def after_val(self, runner: Runner) -> None:
        """Restore the random states."""
        set_rng_state(self.state_before_val)
        self.state_before_val = None

    # -- saving --------------------------------------------------------------
    @contextmanager
    def handling_sigterm(self) -> Iterator[None]:
        """Handle SIGTERM in a block; Python can only in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = signal.signal(signal.SIGTERM, self.request_stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, former)

    def request_stop(self, *args) -> None:
        """Handle SIGTERM."""
        self.terminated = True

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Save a checkpoint if it is due, or if the job must end."""
        super().after_train_iter(runner, *args, **kwargs)
        # All processes stop after the same iteration.
        if not any_process(self.terminated):
            return
        if self.saved != runner.iter + 1:
            self._save_checkpoint(runner)
        runner.logger.warning(
            f'SIGTERM: stopped after iteration {runner.iter + 1}. '
            f'{self.last_ckpt} is saved. Resume with --resume.')
        raise SystemExit(STOPPED)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add what an exact resume needs to a checkpoint."""
        sampler = runner.train_dataloader.sampler
        checkpoint['run'] = dict(
            images_per_iter=images_per_iter(runner),
            optimizer=type(runner.optim_wrapper.optimizer).__name__,
            sampler_seed=getattr(sampler, 'seed', None),
            random_states=self.states)

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict) -> None:
        self.states = all_gather_object(self.state_before_val
                                        or get_rng_state())
        with self.safely_writing(step):
            super()._save_checkpoint_with_step(runner, step, meta)
        self.saved = step

    def save_as(self, runner: Runner, name: str) -> str:
        """Save a checkpoint in an iteration, and return its path.

        It is never deleted, and `--resume` without a file does not choose it.
        """
        self.states = all_gather_object(get_rng_state())
        with self.safely_writing(runner.iter + 1):
            runner.save_checkpoint(
                self.out_dir,
                name,
                by_epoch=False,
                backend_args=self.backend_args)
        return osp.join(self.out_dir, name)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self.safely_writing(runner.iter):
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def safely_writing(self, step: int) -> Iterator[None]:
        """Delete outdated checkpoints after the block, not in it."""
        outdated = []
        remove = self.file_backend.remove
        self.file_backend.remove = outdated.append
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f'{self.out_dir}: the checkpoint of iteration {step} cannot '
                f'be written ({error.strerror}). Training stops. The older '
                'checkpoints there are whole. Make room, and resume with '
                '--resume.') from error
        finally:
            self.file_backend.remove = remove
        for path in outdated:
            remove(path)


def restart_schedulers(runner: Runner, checkpoint: dict) -> None:
    """Advance the config's schedulers, and put their rates in a checkpoint."""
    schedulers = runner.param_schedulers or []
    if any(scheduler.by_epoch for scheduler in schedulers):
        return
    checkpoint.pop('param_schedulers', None)
    with warnings.catch_warnings():
        # torch's advice to step the optimizer first
        warnings.simplefilter('ignore', UserWarning)
        for _ in range(checkpoint['meta']['iter']):
            for scheduler in schedulers:
                scheduler.step()
    names = {'lr', *(scheduler.param_name for scheduler in schedulers)}
    state = checkpoint['optimizer']
    # mmengine keeps a group without parameters, for the rate that it logs.
    groups = [*state['param_groups'], state.get('base_param_settings')]
    for group, saved in zip(runner.optim_wrapper.param_groups, groups):
        for name in names:
            for key in (name, f'initial_{name}'):
                if key in group:
                    saved[key] = group[key]


def images_per_iter(runner: Runner) -> int:
    """Return the number of images of all processes in an iteration."""
    loader = runner.train_dataloader
    return loader.batch_sampler.batch_size * get_world_size()


def check_run(runner: Runner, checkpoint: dict, where: str) -> None:
    """Refuse another number of images an iteration, and another optimizer."""
    optimizer, run = runner.optim_wrapper.optimizer, checkpoint.get('run', {})
    images, kind = images_per_iter(runner), type(optimizer).__name__
    own = describe_run(images, kind, optimizer.param_groups)
    saved = describe_run(
        run.get('images_per_iter', images), run.get('optimizer', kind),
        checkpoint['optimizer']['param_groups'])
    if saved != own:
        raise CheckpointError(
            f'{where}: from a run with {saved}, but this run has {own}. Use '
            'the train_dataloader.batch_size, the number of processes and the '
            'optim_wrapper of that run. To start a new run from the weights, '
            f'set load_from={where} without --resume.')


def describe_run(images: int, optimizer: str, groups: List[dict]) -> str:
    """Describe what a run shares with the runs that resume it."""
    sizes = [len(group['params']) for group in groups]
    return (f'{images} images an iteration, and {optimizer} of {sum(sizes)} '
            f'parameters in {len(sizes)} groups')
