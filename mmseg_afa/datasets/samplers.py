# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The order of training images, from any place in it."""
from itertools import count, islice
from typing import Iterator

import numpy as np
from mmengine.dataset import InfiniteSampler
from mmseg.registry import DATA_SAMPLERS


class SeededIndex(int):
    """An index of a data set, and the seed of the sample's augmentation.

    The seed stays where data sets that are made of others compute the index
    in one of these.
    """
    seed: int

    def __new__(cls, index: int, seed: int) -> 'SeededIndex':
        self = super().__new__(cls, index)
        self.seed = seed
        return self

    def __getnewargs__(self) -> tuple:  # how it is pickled, for a worker
        return int(self), self.seed

    def __sub__(self, other: int) -> 'SeededIndex':
        return SeededIndex(int(self) - other, self.seed)

    def __mod__(self, other: int) -> 'SeededIndex':
        return SeededIndex(int(self) % other, self.seed)


@DATA_SAMPLERS.register_module()
class ResumableSampler(InfiniteSampler):
    """mmengine's InfiniteSampler, which can begin anywhere in its order.

    Each image comes with a seed for its augmentation, made of the sampler's
    seed and the image's place in the order. Crops and flips are then the same
    for any number of loader processes, and after a resume.

    Args:
        dataset (Sized): The data set.
        shuffle (bool): Shuffle it anew in each pass.
        seed (int, optional): Of the order and the augmentation; by default
            the Runner's.
    """

    start = 0
    """How many images of the order, over all processes, are left out."""

    def __iter__(self) -> Iterator[SeededIndex]:
        """The indices of this process."""
        first, step = self.start + self.rank, self.world_size
        indices = islice(self._infinite_indices(), first, None, step)
        for place, index in zip(count(first, step), indices):
            seed, = np.random.SeedSequence(
                (self.seed, place)).generate_state(1)
            yield SeededIndex(index, int(seed))
