# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read, restore and isolate the random generators of a process."""
import random
from contextlib import contextmanager
from typing import Iterator

import numpy as np
import torch


def get_rng_state() -> dict:
    """Return the states of Python's, NumPy's and torch's generators."""
    state = dict(
        python=random.getstate(),
        numpy=np.random.get_state(),
        torch=torch.get_rng_state())
    if torch.cuda.is_initialized():  # not in a forked loader process
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict) -> None:
    """Restore the states that :func:`get_rng_state` returned."""
    random.setstate(state['python'])
    np.random.set_state(state['numpy'])
    # Runner.resume moves all tensors of a checkpoint to the GPU.
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state:
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def isolated_rng(seed: int) -> Iterator[None]:
    """Seed the generators in a block, and restore their states after it.

    Args:
        seed (int): In [0, 2**32). The GPU's generator is not seeded.
    """
    state = get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    # torch.manual_seed would also seed the GPU's generator.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        set_rng_state(state)
