# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The order of training images, and the processes that load them."""
import os
import signal
from functools import partial
from itertools import count, islice
from threading import Thread
from typing import Iterable, Iterator, Optional, Sized, Tuple

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmengine.registry import FUNCTIONS
from mmseg.registry import DATA_SAMPLERS

from ..utils import UserError, isolated_rng
from .weak_label import read_image_labels


def load_seeded(dataset: Sized, drawn: Iterable[Tuple[int, int]]) -> list:
    """Load samples by index, and augment each by its seed."""
    samples = []
    for index, seed in drawn:
        with isolated_rng(seed):
            samples.append(dataset[index])
    return samples


@DATA_SAMPLERS.register_module()
class ResumableSampler(InfiniteSampler):
    """An InfiniteSampler that can start at any position of its order.

    Each image has a seed for its augmentation, computed from the sampler's
    seed and the image's position in the order. Crops and flips are therefore
    the same for any number of workers, and after a resume.

    Args:
        dataset (Sized): The data set, also one that wraps others. torch's
            DataLoader loads its samples by :func:`load_seeded`.
        shuffle (bool): Shuffle the data set anew in each pass.
        seed (int, optional): Seed of the order and of the augmentation.
            Defaults to the Runner's.
        empty_share (float, optional): The largest share of drawn images that
            have no tag, below 1. Each pass draws every image with tags, and
            some of the others in turn. By default it draws every image.
    """

    start = 0
    """Number of positions to skip, counted over all processes."""

    def __init__(self,
                 dataset: Sized,
                 *args,
                 empty_share: Optional[float] = None,
                 **kwargs) -> None:
        super().__init__(dataset, *args, **kwargs)
        dataset.__getitems__ = partial(load_seeded, dataset)
        self.tagged, self.num_empty = np.ones(self.size, bool), 0
        if empty_share is not None:
            labels = read_image_labels(dataset)
            if labels is None or not labels.any() or not 0 <= empty_share < 1:
                raise UserError(
                    'train_dataloader.sampler.empty_share: found '
                    f'{empty_share}, expected 0 to below 1, and tags in the '
                    'label file. Correct them, or remove empty_share.')
            self.tagged = labels.any(1)
            ratio = empty_share / (1 - empty_share)
            self.num_empty = int(ratio * self.tagged.sum())  # in each pass

    def _infinite_indices(self) -> Iterator[int]:
        number = np.cumsum(~self.tagged)  # of the images without tags
        for position, index in enumerate(super()._infinite_indices()):
            turn = number[index] - position // self.size * self.num_empty
            if self.tagged[index] or turn % number[-1] < self.num_empty:
                yield index

    def __iter__(self) -> Iterator[Tuple[int, int]]:
        """Yield the indices of this process, with seeds."""
        first, step = self.start + self.rank, self.world_size
        indices = islice(self._infinite_indices(), first, None, step)
        for position, index in zip(count(first, step), indices):
            seed, = np.random.SeedSequence(
                (self.seed, position)).generate_state(1)
            yield index, int(seed)


@FUNCTIONS.register_module()
def ignore_sigterm_in_worker(worker_id: int, _scope_: str = '') -> None:
    """Make a data loader's worker ignore SIGTERM from outside.

    A ``worker_init_fn``. Clusters announce the end of a job by SIGTERM to all
    of its processes, but training still needs images to finish the iteration
    and save. SIGTERM from the training process still ends the worker.
    mmengine adds `_scope_` to inherited configs.
    """
    if hasattr(signal, 'sigwaitinfo'):  # which macOS lacks
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=exit_with_parent, daemon=True).start()


def exit_with_parent() -> None:
    """Wait for SIGTERM from the parent process, and exit."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)  # without cleaning up what the parent shares
