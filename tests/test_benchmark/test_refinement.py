# Copyright (c) mmseg_afa contributors. All rights reserved.
import torch

from mmseg_afa.benchmark import benchmark_par
from mmseg_afa.benchmark.refinement import bytes_moved
from mmseg_afa.models import PAR


def test_both_ways_agree():
    found = benchmark_par(torch.device('cpu'), size=32, repeat=1)
    assert 0 <= found['difference'] < 1e-5
    assert found['seconds'] > 0 and found['published_way_seconds'] > 0


def test_bytes_moved():
    par = PAR(num_iter=2, dilations=(1, ))
    # a pixel: its colour, 8 weights written, twice 8 weights and 3 maps read
    # and 3 maps written
    assert bytes_moved(par, 5, 3, 10) == 4 * 50 * (3 + 8 + 2 * (8 + 6))
