# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The order of training images, and the processes that load them."""
import os
import signal
from itertools import count, islice
from threading import Thread
from typing import Iterator

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmengine.registry import FUNCTIONS
from mmseg.registry import DATA_SAMPLERS


class SeededIndex(int):
    """An index of a data set, with the seed of the sample's augmentation.

    The seed is kept where a wrapper of data sets computes another index.
    """

    def __new__(cls, index: int, seed: int) -> 'SeededIndex':
        self = super().__new__(cls, index)
        self.seed = seed
        return self

    def __getnewargs__(self) -> tuple:  # to pickle it for a worker
        return int(self), self.seed

    def __sub__(self, other: int) -> 'SeededIndex':
        return SeededIndex(int(self) - other, self.seed)

    def __mod__(self, other: int) -> 'SeededIndex':
        return SeededIndex(int(self) % other, self.seed)


@DATA_SAMPLERS.register_module()
class ResumableSampler(InfiniteSampler):
    """An InfiniteSampler that can start at any position of its order.

    Each image has a seed for its augmentation, computed from the sampler's
    seed and the image's position in the order. Crops and flips are therefore
    the same for any number of workers, and after a resume.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Shuffle the data set anew in each pass.
        seed (int, optional): Seed of the order and of the augmentation.
            Defaults to the Runner's.
    """

    start = 0
    """Number of positions to skip, counted over all processes."""

    def __iter__(self) -> Iterator[SeededIndex]:
        """Yield the indices of this process."""
        first, step = self.start + self.rank, self.world_size
        indices = islice(self._infinite_indices(), first, None, step)
        for position, index in zip(count(first, step), indices):
            seed, = np.random.SeedSequence(
                (self.seed, position)).generate_state(1)
            yield SeededIndex(index, int(seed))


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
