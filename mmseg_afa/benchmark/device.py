# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What the machine is, and what it can do at most."""
import platform
import time
from statistics import median
from typing import Callable, Dict

import mmcv
import mmengine
import mmseg
import torch

from mmseg_afa.version import __version__


def describe_device(device: torch.device) -> Dict[str, str]:
    """Hardware and versions, for the head of a report."""
    if device.type == 'cuda':
        name = torch.cuda.get_device_name(device)
    else:
        name = f'CPU, {torch.get_num_threads()} threads'
    return dict(
        device=name,
        python=platform.python_version(),
        torch=torch.__version__,
        mmengine=mmengine.__version__,
        mmcv=mmcv.__version__,
        mmseg=mmseg.__version__,
        mmseg_afa=__version__)


def seconds_of(function: Callable, device: torch.device, repeat: int,
               warmup: int) -> float:
    """Median time of a call.

    Args:
        function (Callable): What to time, without arguments.
        device (torch.device): Where it does its work.
        repeat (int): Number of calls timed.
        warmup (int): Number of calls before.

    Returns:
        float: Seconds.
    """
    for _ in range(warmup):
        function()
    times = []
    for _ in range(repeat):
        synchronize(device)
        start = time.perf_counter()
        function()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return median(times)


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def peak_memory(device: torch.device) -> int:
    """Largest memory used so far, in bytes: on a GPU by tensors, else by the
    process."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    # Not getrusage, whose peak a process inherits from the one that started
    # it: `man 2 getrusage`, ru_maxrss, and Linux's exec_mmap.
    with open('/proc/self/status') as file:
        kilobytes = next(line.split()[1] for line in file
                         if line.startswith('VmHWM:'))
    return int(kilobytes) * 1024


def measured_peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a large matrix product, the most that can be hoped for."""
    side = 8192 if device.type == 'cuda' else 1536
    a = torch.randn(side, side, device=device).to(dtype)
    seconds = seconds_of(lambda: a @ a, device, repeat=10, warmup=3)
    return 2 * side**3 / seconds


def measured_bandwidth(device: torch.device) -> float:
    """Bytes/s of a large copy, read and written counted."""
    size = 2**28 if device.type == 'cuda' else 2**25
    a = torch.zeros(size, device=device)
    b = torch.empty_like(a)
    seconds = seconds_of(lambda: b.copy_(a), device, repeat=10, warmup=3)
    return 2 * 4 * size / seconds
