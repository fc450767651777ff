# Copyright (c) mmseg_afa contributors. All rights reserved.
import io
import random

import numpy as np
import torch

from mmseg_afa.utils import own_randomness, random_state, set_random_state


def draw() -> list:
    """From each generator, two kinds of numbers."""
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
        torch.rand(()).item(),
        torch.randn(()).item()
    ]


def test_state_goes_through_a_file():
    """A checkpoint's loader, which runs no code, admits it."""
    draw()
    file = io.BytesIO()
    torch.save(random_state(), file)
    expected = [draw(), draw()]
    file.seek(0)
    set_random_state(torch.load(file, weights_only=True))
    assert [draw(), draw()] == expected


def test_own_randomness():
    state = random_state()
    expected = draw()
    set_random_state(state)
    with own_randomness(7):
        first = draw()
    with own_randomness(7):
        assert draw() == first != expected
    assert draw() == expected
