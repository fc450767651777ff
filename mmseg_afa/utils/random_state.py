# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The random generators of a process: kept, given back, isolated."""
import random
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch


def cpu_state() -> dict:
    """As :func:`random_state`, without the GPU's: what a process may ask that
    was forked from one that uses it."""
    return dict(
        python=random.getstate(),
        numpy=np.random.get_state(),
        torch=torch.get_rng_state())


def random_state() -> dict:
    """The states of Python's, NumPy's and torch's generators, as what a
    checkpoint may hold: tensors, arrays and plain containers."""
    state = cpu_state()
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict) -> None:
    """Give generators the states that :func:`random_state` returned."""
    random.setstate(state['python'])
    np.random.set_state(state['numpy'])
    # a resume moves all tensors of a checkpoint to the GPU
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state:
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """What draws random numbers in this block leaves the generators of the
    process as they were; the GPU's are not touched.

    Args:
        seed (int): In [0, 2**32), of the generators in the block.
    """
    state = cpu_state()
    random.seed(seed)
    np.random.seed(seed)
    # torch.manual_seed would seed the GPU's, too
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        set_random_state(state)
