# Copyright (c) mmseg_afa contributors. All rights reserved.
import math
import signal
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Iterator, List, Optional

import torch
from mmengine.dist import (all_gather_object, all_reduce, get_world_size,
                           is_distributed)
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_afa.compat import CheckpointError
from mmseg_afa.utils import random_state, set_random_state

STOPPED = 128 + signal.SIGTERM  # the exit code that shells give to it


@HOOKS.register_module()
class ResumableCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, from whose checkpoints a run goes on as if it
    had never stopped, for iteration-based training.

    They hold besides the random generators of every process and the place in
    the order of the images. With a :class:`ResumableSampler` a run that goes
    on takes the images from there and decodes none of those before, and a run
    on the CPU ends with the same weights, to the last bit.

    - A checkpoint is removed when the one that replaces it is written.
    - SIGTERM, with which clusters announce the end of a job, saves a
      checkpoint after the running iteration, and ends with the code 143.
    - Validation leaves the random generators as they were, and one that was
      cut off is made up for.
    - With another number of images an iteration, which is what another number
      of processes makes, a config with ``auto_scale_lr`` goes on at the
      iteration of its own schedule that has as many images behind it.

    Args:
        *args, **kwargs: Of :class:`mmengine.hooks.CheckpointHook`.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.resumed: Optional[dict] = None  # what the checkpoint said
        self.first_iter = self.first_image = 0  # where this process began
        self.before_validation: Optional[dict] = None
        self.states: List[dict] = []  # of all processes, while saving
        self.group = None  # in which processes tell of a SIGTERM
        self.terminated = False
        self.saved: Optional[int] = None  # the iteration of the newest

    # -- the start -----------------------------------------------------------
    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep what a checkpoint says of its run, and fit it to this one."""
        if not runner.cfg.get('resume') or 'run' not in checkpoint:
            return
        self.resumed = checkpoint['run']
        then, now = self.resumed['images_per_iter'], images_per_iter(runner)
        if then != now:
            self.fit_schedule(runner, checkpoint, then, now)

    def fit_schedule(self, runner: Runner, checkpoint: dict, then: int,
                     now: int) -> None:
        """Bring a checkpoint to the schedule of another number of images."""
        iteration = checkpoint['meta']['iter']
        found = (f'The checkpoint is of a run with {then} images an '
                 f'iteration, this one has {now}')
        if not runner.cfg.get('auto_scale_lr'):
            runner.logger.warning(
                f'{found}. The schedule goes on at iteration {iteration} with '
                'the rates of the checkpoint, and ends after another number '
                'of images.')
            return
        reached = math.ceil(iteration * then / now)
        runner.logger.warning(
            f'{found}. Its iteration {iteration} is number {reached} here: '
            'the schedule goes on there at the rate of this run, with the '
            'images that are next. The result will not be, to the last '
            'digit, that of a run with one number of images throughout.')
        checkpoint['meta']['iter'] = reached
        checkpoint.pop('param_schedulers', None)
        schedulers = runner.param_schedulers = runner.build_param_scheduler(
            runner.param_schedulers)
        for _ in range(reached):
            for scheduler in schedulers:
                scheduler.step()
        groups = [
            *checkpoint['optimizer']['param_groups'],
            checkpoint['optimizer'].get('base_param_settings')
        ]  # the latter is mmengine's, for what it logs
        for mine, loaded in zip(runner.optim_wrapper.param_groups, groups):
            loaded.update(lr=mine['lr'], initial_lr=mine['initial_lr'])

    def before_train(self, runner: Runner) -> None:
        """Go on where the checkpoint was written."""
        super().before_train(runner)
        self.former_handler = signal.signal(signal.SIGTERM, self.remember)
        if is_distributed():
            # on the CPU: nobody waits for the GPU in each iteration
            self.group = torch.distributed.new_group(backend='gloo')
        if not self.resumed:
            return
        self.first_iter = self.saved = runner.iter
        self.first_image = self.resumed['images']
        loop = runner.train_loop
        sampler = loop.dataloader.sampler
        if hasattr(sampler, 'start'):
            sampler.start = self.first_image
            sampler.seed = self.resumed['sampler_seed']
            # the loop drops as many batches as there were iterations
            loop.dataloader_iterator = chain(
                repeat(None, runner.iter), iter(loop.dataloader))
        states = self.resumed['random_states']
        if runner.rank < len(states):  # others keep what they began with
            set_random_state(states[runner.rank])
        if self.missed_validation(runner):
            runner.val_loop.run()

    @staticmethod
    def missed_validation(runner: Runner) -> bool:
        """Whether a run was cut off after a checkpoint, before its scores."""
        loop, done = runner.train_loop, runner.iter
        due = done >= loop.val_begin and (done % loop.val_interval == 0
                                          or done == loop.max_iters)
        validated = runner.message_hub.get_info('validated', -1)
        return runner.val_loop is not None and due and validated != done

    # -- validation ----------------------------------------------------------
    def before_val(self, runner: Runner) -> None:
        """Keep the random generators."""
        self.before_validation = random_state()

    def after_val_iter(self, runner: Runner, *args, **kwargs) -> None:
        """After SIGTERM, stop at once if all is saved."""
        if self.terminated and self.saved == runner.iter:
            raise SystemExit(STOPPED)

    def after_val_epoch(self, runner: Runner, metrics: dict) -> None:
        """Save the best checkpoint, and in the newest that it is known."""
        runner.message_hub.update_info('validated', runner.iter)
        outdated = self.saved == runner.iter
        self.saved = None
        super().after_val_epoch(runner, metrics)
        if outdated and self.saved is None:
            self._save_checkpoint_with_step(runner, runner.iter,
                                            dict(epoch=0, iter=runner.iter))

    def after_val(self, runner: Runner) -> None:
        """Give the random generators back."""
        set_random_state(self.before_validation)
        self.before_validation = None

    # -- saving --------------------------------------------------------------
    def remember(self, *args) -> None:
        """Handle SIGTERM."""
        self.terminated = True

    def after_train_iter(self, runner: Runner, *args, **kwargs) -> None:
        """Save a checkpoint where it is due, or if the job is to end."""
        super().after_train_iter(runner, *args, **kwargs)
        terminated = torch.tensor(int(self.terminated))
        # all stop after the same iteration
        all_reduce(terminated, op='max', group=self.group)
        if not terminated:
            return
        if self.saved != runner.iter + 1:
            self._save_checkpoint(runner)
        runner.logger.warning(
            f'SIGTERM: stopped after iteration {runner.iter + 1}. '
            f'{self.last_ckpt} is saved; --resume goes on from there.')
        raise SystemExit(STOPPED)

    def after_train(self, runner: Runner) -> None:
        """SIGTERM means again what it did before."""
        super().after_train(runner)
        signal.signal(signal.SIGTERM, self.former_handler)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Say in a checkpoint where its run stands."""
        done = checkpoint['meta']['iter'] - self.first_iter
        sampler = runner.train_dataloader.sampler
        checkpoint['run'] = dict(
            images_per_iter=images_per_iter(runner),
            images=self.first_image + done * images_per_iter(runner),
            sampler_seed=getattr(sampler, 'seed', None),
            random_states=self.states)

    def _save_checkpoint_with_step(self, runner: Runner, step: int,
                                   meta: dict) -> None:
        self.states = all_gather_object(self.before_validation
                                        or random_state())
        with self.removing_last(), self.explaining(step):
            super()._save_checkpoint_with_step(runner, step, meta)
        self.saved = step

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self.removing_last(), self.explaining(f'best of {runner.iter}'):
            super()._save_best_checkpoint(runner, metrics)

    @contextmanager
    def removing_last(self) -> Iterator[None]:
        """mmengine removes the outdated checkpoint before it writes the new
        one; in this block it does so at the end."""
        outdated = []
        remove = self.file_backend.remove
        self.file_backend.remove = outdated.append
        try:
            yield
        finally:
            self.file_backend.remove = remove
        for path in outdated:
            remove(path)

    @contextmanager
    def explaining(self, step) -> Iterator[None]:
        """Tell what an error of the disk means for the run."""
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f'{self.out_dir}: the checkpoint of iteration {step} cannot '
                f'be written ({error.strerror}). Training stops; the older '
                'ones there are whole. Make room, and go on with --resume.'
            ) from error


def images_per_iter(runner: Runner) -> int:
    """How many images all processes take in an iteration."""
    loader = runner.train_dataloader
    return loader.batch_sampler.batch_size * get_world_size()
