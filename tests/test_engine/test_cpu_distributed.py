# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from mmseg_afa.engine import CPUDistributedDataParallel, cpu_distributed


@pytest.mark.parametrize('device, launcher', [('cuda', 'slurm'),
                                              ('cpu', 'none')])
def test_prepare(monkeypatch, device, launcher):
    """Only pinned memory is turned off, and only on the CPU."""
    monkeypatch.setattr(cpu_distributed, 'get_device', lambda: device)
    cfg = Config(
        dict(
            launcher=launcher,
            train_dataloader=dict(pin_memory=True),
            val_dataloader=None))
    cpu_distributed.prepare_for_cpu(cfg)
    assert ('pin_memory' in cfg.train_dataloader) == (device == 'cuda')
    assert 'model_wrapper_cfg' not in cfg


class Normalised(BaseModel):

    def __init__(self):
        super().__init__()
        self.norm = nn.SyncBatchNorm(2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.norm(inputs)


def test_sync_bn_becomes_bn():
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = CPUDistributedDataParallel(Normalised(), device_ids=[0])
        assert model(torch.rand(8, 2, 3, 3)).mean().abs() < 1e-6
    finally:
        torch.distributed.destroy_process_group()
