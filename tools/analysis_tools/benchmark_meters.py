# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What benchmark.py measures with: time by part, FLOPs, memory."""
import functools
import os
import re
import time
from collections import Counter
from math import prod
from pathlib import Path
from typing import Any, Callable, Dict, Optional

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
    """

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == 'cuda'
        self._steps = []  # (start, end, [(part, start, end), ...])
        self._parts = None  # of this step; None where no part can begin

    def _now(self):
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _seconds(self, start, end) -> float:
        return start.elapsed_time(end) / 1000 if self.cuda else end - start

    def wrap(self, owner: Any, method: str, part: str) -> None:
        """Make each call of an object's method a part, in place."""
        function = getattr(owner, method)

        @functools.wraps(function)
        def timed(*args, **kwargs):
            if self._parts is None:
                return function(*args, **kwargs)
            parts, self._parts = self._parts, None
            start = self._now()
            result = function(*args, **kwargs)
            parts.append((part, start, self._now()))
            self._parts = parts
            return result

        setattr(owner, method, timed)

    def step(self, function: Callable) -> None:
        """Call a function and time it and its parts."""
        self._parts = parts = []
        start = self._now()
        function()
        self._steps.append((start, self._now(), parts))
        self._parts = None

    def results(self) -> Dict[str, float]:
        """Milliseconds of each part of a step, and of what is in none as
        'other': the mean over the middle half of the steps by their length.
        The steps are then forgotten."""
        if self.cuda:
            torch.cuda.synchronize()
        steps = []
        for start, end, parts in self._steps:
            step = Counter()
            for part, *span in parts:
                step[part] += self._seconds(*span)
            step['other'] = self._seconds(start, end) - sum(step.values())
            steps.append(step)
        self._steps = []
        steps.sort(key=lambda step: sum(step.values()))
        steps = steps[len(steps) // 4:len(steps) - len(steps) // 4]
        total = sum(steps, Counter()).most_common()
        return {part: 1000 * seconds / len(steps) for part, seconds in total}


def conv_backward_flops(grad, x, weight, bias, stride, padding, dilation,
                        transposed, output_padding, groups, output_mask,
                        **kwargs) -> int:
    """As many as forward for each of the two gradients that is asked for.

    `grad` and `weight` are shapes. torch's own formula takes the weight of a
    depth-wise convolution for that of a full one: C times too many.
    """
    return 2 * prod(grad) * prod(weight[1:]) * sum(output_mask[:2])


def count_tflop(function: Callable) -> float:
    """10^12 operations of a call in matrix products, convolutions and
    attention; a multiplication with its addition counts as two."""
    aten = torch.ops.aten
    # torch has formulas for the GPU's attention only
    attention = aten._scaled_dot_product_flash_attention_for_cpu
    backward = aten._scaled_dot_product_flash_attention_for_cpu_backward
    formulas = {
        aten.convolution_backward: conv_backward_flops,
        attention: lambda *qkv, **_: sdpa_flop_count(*qkv[:3]),
        backward: lambda *args, **_: sdpa_backward_flop_count(*args[:4])
    }
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        function()
    return counter.get_total_flops() / 1e12


def seconds_of(function: Callable) -> float:
    """Median over calls."""
    threads = torch.get_num_threads()
    timer = Timer('f()', globals=dict(f=function), num_threads=threads)
    return timer.blocked_autorange(min_run_time=MIN_SECONDS).median


def read_proc(name: str, pattern: str) -> Optional[str]:
    """What a pattern finds in a file of /proc; None where not on Linux."""
    file = Path('/proc', name)
    found = re.search(pattern, file.read_text()) if file.exists() else None
    return found and found[1]


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
    peak = read_proc('self/status', r'VmHWM:\s+(\d+)')
    return peak and int(peak) * 1024 / 1e9
