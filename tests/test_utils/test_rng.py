# Copyright (c) mmseg_afa contributors. All rights reserved.
import io
import random

import numpy as np
import torch

from mmseg_afa.utils import get_rng_state, isolated_rng, set_rng_state


def draw() -> list:
    """Draw two kinds of numbers from each generator."""
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
        torch.rand(()).item(),
        torch.randn(()).item()
    ]


def test_a_checkpoint_holds_the_state():
    """Load the state with weights_only, which executes nothing."""
    draw()
    file = io.BytesIO()
    torch.save(get_rng_state(), file)
    expected = [draw(), draw()]
    file.seek(0)
    set_rng_state(torch.load(file, weights_only=True))
    assert [draw(), draw()] == expected


def test_isolated_rng():
    state = get_rng_state()
    expected = draw()
    set_rng_state(state)
    with isolated_rng(7):
        first = draw()
    with isolated_rng(7):
        assert draw() == first != expected
    assert draw() == expected
