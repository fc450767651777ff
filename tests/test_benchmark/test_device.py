# Copyright (c) mmseg_afa contributors. All rights reserved.
import subprocess
import sys

import numpy as np
import torch

from mmseg_afa.benchmark.device import peak_memory, seconds_of

CPU = torch.device('cpu')
CHILD = """
import torch
from mmseg_afa.benchmark.device import peak_memory
print(peak_memory(torch.device('cpu')))
"""


def test_peak_memory_is_that_of_the_process():
    before = peak_memory(CPU)
    ballast = np.ones(10**8)
    assert peak_memory(CPU) > ballast.nbytes
    assert peak_memory(CPU) >= before
    child = subprocess.run([sys.executable, '-c', CHILD],
                           stdout=subprocess.PIPE,
                           text=True,
                           check=True)
    assert 1e8 < int(child.stdout) < peak_memory(CPU) - 2e8


def test_seconds_are_those_of_one_call():
    calls = []
    seconds = seconds_of(lambda: calls.append(1), CPU, repeat=5, warmup=2)
    assert len(calls) == 7 and 0 <= seconds < 0.1
