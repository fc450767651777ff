# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Help to train a module besides its forward pass."""
from contextlib import contextmanager
from typing import Iterable, Iterator

import torch
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


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module inside a distributed wrapper, or the module itself."""
    return module.module if is_model_wrapper(module) else module
