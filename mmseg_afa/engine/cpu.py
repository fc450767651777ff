# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train and test without a GPU: bfloat16, and several processes."""
import platform
from contextlib import contextmanager
from typing import Iterator, Optional

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS, OPTIM_WRAPPERS
from torch import nn

from ..utils import UserError


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Train under autocast to bfloat16, also on the CPU.

    mmengine's AmpOptimWrapper needs an accelerator, to scale the loss.
    bfloat16 has the exponents of float32, and needs no scaling.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast on the device of the model; see OptimWrapper."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(
                device, torch.bfloat16):
            yield


def cpu_has_bfloat16() -> bool:
    """Return whether the CPU has instructions for bfloat16 products."""
    if not (torch.backends.mkldnn.is_available()
            and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False
    # On x86, oneDNN also returns True where it emulates the products.
    x86 = platform.machine().lower() in ('x86_64', 'amd64')
    return not x86 or torch.cpu._is_avx512_bf16_supported()


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """Average gradients between processes on the CPU.

    SyncBatchNorm layers, which need a GPU, become BatchNorm: each process
    normalises over its own samples.

    Args:
        module (nn.Module): The model.
        device_ids (list, optional): Ignored. The Runner passes a GPU.
        **kwargs: See :class:`mmengine.model.MMDistributedDataParallel`.
    """

    def __init__(self,
                 module: nn.Module,
                 device_ids: Optional[list] = None,
                 **kwargs) -> None:
        super().__init__(
            revert_sync_batchnorm(module), device_ids=None, **kwargs)


def prepare_for_cpu(cfg: Config) -> None:
    """Adapt a config to a machine without a GPU, in place.

    Call it before the Runner is built: mmengine's own set-up of ``--launcher
    pytorch`` asks CUDA for a device.
    """
    if get_device() != 'cpu':
        return
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        # torch warns about pinned memory without a GPU.
        if cfg.get(name):
            cfg[name].pop('pin_memory', None)
    if cfg.launcher == 'none':
        return
    if cfg.launcher != 'pytorch':
        raise UserError(
            f'--launcher {cfg.launcher} needs a GPU, and this machine has '
            'none. Use tools/dist_train.sh or tools/dist_test.sh.')
    if not is_distributed():
        torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(
        type='CPUDistributedDataParallel',
        broadcast_buffers=False,  # as mmengine's default wrapper
        find_unused_parameters=cfg.get('find_unused_parameters', False))
