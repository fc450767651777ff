# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Help to train a module besides its forward pass."""
from contextlib import contextmanager
from functools import lru_cache
from typing import Iterable, Iterator

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import is_model_wrapper
from torch import Tensor, nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode for the time of a block.

    Each part gets back the mode that it had: parts that are frozen in
    evaluation mode stay frozen.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def zero_gradients(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Compute a zero to add to the loss of a step without some parameters.

    These parameters get gradients of zero: distributed training waits for a
    gradient of every parameter.
    """
    return 0. * torch.cat([one.flatten() for one in parameters]).sum()


@lru_cache(None)
def cpu_group() -> torch.distributed.ProcessGroup:
    """Connect all processes on the CPU, where nothing waits for a GPU."""
    return torch.distributed.new_group(backend='gloo')


def total_of_processes(number: int) -> int:
    """Add up a number over all processes, each of which calls this."""
    if get_world_size() == 1:
        return number
    total = torch.tensor(number)
    all_reduce(total, group=cpu_group())
    return int(total)


def any_process(flag: bool) -> bool:
    """Return whether a flag is set in any process; all processes call it."""
    return total_of_processes(int(flag)) > 0


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module inside a distributed wrapper, or the module itself."""
    return module.module if is_model_wrapper(module) else module
