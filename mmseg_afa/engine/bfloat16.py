# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Mixed precision where mmengine has none: on the CPU."""
import platform
from contextlib import contextmanager
from typing import Iterator

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Trains under autocast to bfloat16, on the CPU too.

    mmengine's AmpOptimWrapper asserts an accelerator. What that adds beside
    autocast is the scaling of the loss, which bfloat16, with the exponents
    of float32, needs none of.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast on the device of the model; see OptimWrapper."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(
                device, torch.bfloat16):
            yield


def cpu_has_bfloat16() -> bool:
    """Whether the CPU has instructions for products of bfloat16 numbers.

    Without them bfloat16 is slower than float32.
    """
    if not (torch.backends.mkldnn.is_available()
            and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False
    # There oneDNN also says yes where it emulates them by AVX-512.
    x86 = platform.machine().lower() in ('x86_64', 'amd64')
    return not x86 or torch.cpu._is_avx512_bf16_supported()
