# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What benchmark.py measures with: time by part, FLOPs, memory."""
import functools
import os
import re
import time
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import torch
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import (FlopCounterMode,
                                      sdpa_backward_flop_count,
                                      sdpa_flop_count)

MIN_SECONDS = 2.  # a call that is timed alone is repeated for so long


class PartTimer:
    """Divides the time of steps among their parts.

    A part inside another one counts as that one. On a GPU the times are those
    between CUDA events, read when all steps are done: measuring makes the
    host wait for nothing.

    Args:
        device (torch.device): Where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == 'cuda'
        self._steps: List[tuple] = []  # start, end, spans of the parts
        self._spans: Optional[list] = None  # None where no part can begin

    def _now(self):
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _seconds(self, start, end) -> float:
        return start.elapsed_time(end) / 1000 if self.cuda else end - start

    def wrap(self, owner: Any, method: str, part: str) -> None:
        """Make each call of a method a part; outside of steps it is not
        timed.

        Args:
            owner (Any): The object, changed in place.
            method (str): Name of the method.
            part (str): Name of the part.
        """
        function = getattr(owner, method)

        @functools.wraps(function)
        def timed(*args, **kwargs):
            if self._spans is None:
                return function(*args, **kwargs)
            spans, self._spans = self._spans, None
            start = self._now()
            result = function(*args, **kwargs)
            spans.append((part, start, self._now()))
            self._spans = spans
            return result

        setattr(owner, method, timed)

    def step(self, function: Callable) -> None:
        """Call a function and time it and its parts."""
        self._spans = spans = []
        start = self._now()
        function()
        self._steps.append((start, self._now(), spans))
        self._spans = None

    def results(self) -> Dict[str, float]:
        """Milliseconds of each part of a step, and of what is in none as
        'other': the mean over the middle half of the steps by their length.
        The steps are then forgotten."""
        if self.cuda:
            torch.cuda.synchronize()
        steps = []
        for start, end, spans in self._steps:
            parts = Counter()
            for part, *span in spans:
                parts[part] += self._seconds(*span)
            parts['other'] = self._seconds(start, end) - sum(parts.values())
            steps.append(parts)
        self._steps = []
        steps.sort(key=lambda parts: sum(parts.values()))
        steps = steps[len(steps) // 4:len(steps) - len(steps) // 4]
        total = sum(steps, Counter())
        return {
            part: 1000 * seconds / len(steps)
            for part, seconds in total.most_common()
        }


def conv_backward_flops(grad, x, weight, bias, stride, padding, dilation,
                        transposed, output_padding, groups, output_mask,
                        **kwargs) -> int:
    """As many as forward for each of the two gradients that is asked for;
    `grad` and `weight` are shapes.

    torch's own formula takes the weight of a depth-wise convolution for that
    of a full one: C times too many.
    """
    return 2 * prod(grad) * prod(weight[1:]) * sum(output_mask[:2])


def count_tflop(function: Callable) -> float:
    """10^12 operations of a call in matrix products, convolutions and
    attention; a multiplication with its addition counts as two."""
    aten = torch.ops.aten
    formulas = {
        aten.convolution_backward:
        conv_backward_flops,
        # torch has formulas for the GPU's attention only
        aten._scaled_dot_product_flash_attention_for_cpu:
        lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
        aten._scaled_dot_product_flash_attention_for_cpu_backward:
        lambda grad, q, k, v, *_, **__: sdpa_backward_flop_count(
            grad, q, k, v)
    }
    counter = FlopCounterMode(display=False, custom_mapping=formulas)
    with counter:
        function()
    return counter.get_total_flops() / 1e12


def seconds_of(function: Callable) -> float:
    """Median over calls."""
    threads = torch.get_num_threads()
    timer = Timer('f()', globals=dict(f=function), num_threads=threads)
    return timer.blocked_autorange(min_run_time=MIN_SECONDS).median


def reset_peak(device: torch.device) -> None:
    """Let :func:`peak_gb` begin anew."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    elif os.access('/proc/self/clear_refs', os.W_OK):
        Path('/proc/self/clear_refs').write_text('5')  # man 5 proc


def peak_gb(device: torch.device) -> Optional[float]:
    """Most memory used, in 10^9 bytes: on a GPU by tensors, else by the
    process, or None where the system is not Linux."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device) / 1e9
    # Not getrusage, whose peak a process inherits from the one that started
    # it (man 2 getrusage).
    status = Path('/proc/self/status')
    found = re.search(r'VmHWM:\s+(\d+)',
                      status.read_text() if status.exists() else '')
    return int(found[1]) * 1024 / 1e9 if found else None
