# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Running where there is no GPU, in one process or in several."""

import datetime
import logging
from typing import Optional

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """DistributedDataParallel between processes on the CPU.

    mmengine's Runner always names a GPU for the wrapper, and SyncBatchNorm
    refuses to run without one.

    Args:
        module (nn.Module): The model. Its SyncBatchNorm layers become
            BatchNorm, which normalises over the samples of one process.
        device_ids (list, optional): Ignored: the CPU has none.
        **kwargs: See
            :class:`mmengine.model.MMDistributedDataParallel`.
    """

    def __init__(self,
                 module: nn.Module,
                 device_ids: Optional[list] = None,
                 **kwargs) -> None:
        if any(isinstance(m, nn.SyncBatchNorm) for m in module.modules()):
            print_log(
                'SyncBN needs a GPU: on the CPU each process normalises over '
                'its own samples (BN).',
                logger='current',
                level=logging.WARNING)
            module = revert_sync_batchnorm(module)
        super().__init__(module, device_ids=None, **kwargs)


def prepare_for_cpu(cfg: Config) -> None:
    """Make a config run where there is no GPU, in place.

    Nothing is done where there is one. Call it before the Runner is built:
    mmengine's own set-up of ``--launcher pytorch`` asks CUDA for a device.
    """
    if get_device() != 'cpu':
        return
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        # torch warns of memory that is pinned for no GPU
        if cfg.get(name):
            cfg[name].pop('pin_memory', None)
    if cfg.launcher == 'none':
        return
    if cfg.launcher != 'pytorch':
        raise SystemExit(
            f'--launcher {cfg.launcher} needs a GPU, and this machine has '
            'none: on the CPU use tools/dist_train.sh or tools/dist_test.sh.')
    if not is_distributed():
        timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
        torch.distributed.init_process_group(
            'gloo', timeout=timeout and datetime.timedelta(seconds=timeout))
    cfg.model_wrapper_cfg = dict(
        dict(
            broadcast_buffers=False,  # as mmengine's default wrapper
            find_unused_parameters=cfg.get('find_unused_parameters', False)),
        **(cfg.get('model_wrapper_cfg') or {}))
    cfg.model_wrapper_cfg.type = CPUDistributedDataParallel.__name__
