# Copyright (c) mmseg_afa contributors. All rights reserved.
import random

import numpy as np
import torch

from mmseg_afa.utils import get_rng_state, isolated_rng, set_rng_state


def draw() -> list:
    """Draw from each generator."""
    return [random.gauss(0, 1), np.random.randn(), torch.randn(()).item()]


def test_isolated_rng():
    state = get_rng_state()
    expected = draw()
    set_rng_state(state)
    with isolated_rng(7):
        first = draw()
    with isolated_rng(7):
        assert draw() == first != expected
    assert draw() == expected
