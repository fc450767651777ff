# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from mmseg_afa.engine import CPUDistributedDataParallel, cpu_distributed


@pytest.fixture
def on_the_cpu(monkeypatch):
    """Also where there is a GPU."""
    monkeypatch.setattr(cpu_distributed, 'get_device', lambda: 'cpu')


@pytest.fixture
def one_process():
    """torch.distributed, with this process only."""
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_nothing_to_do_on_a_gpu(monkeypatch):
    monkeypatch.setattr(cpu_distributed, 'get_device', lambda: 'cuda')
    cfg = dict(launcher='slurm', train_dataloader=dict(pin_memory=True))
    changed = Config(cfg)
    cpu_distributed.prepare_for_cpu(changed)
    assert changed.to_dict() == cfg


def test_one_process_on_the_cpu(on_the_cpu):
    cfg = Config(
        dict(
            launcher='none',
            train_dataloader=dict(pin_memory=True),
            val_dataloader=None))
    cpu_distributed.prepare_for_cpu(cfg)
    assert cfg.train_dataloader == {} and 'model_wrapper_cfg' not in cfg


def test_other_launcher(on_the_cpu):
    with pytest.raises(SystemExit, match='slurm needs a GPU'):
        cpu_distributed.prepare_for_cpu(Config(dict(launcher='slurm')))


def test_several_processes(on_the_cpu, monkeypatch):
    """The process group and the wrapper that the Runner is to use."""
    groups = []
    monkeypatch.setattr(torch.distributed, 'init_process_group',
                        lambda *args, **kwargs: groups.append((args, kwargs)))
    cfg = Config(
        dict(
            launcher='pytorch',
            env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=60)),
            model_wrapper_cfg=dict(broadcast_buffers=True)))
    cpu_distributed.prepare_for_cpu(cfg)
    (args, kwargs), = groups
    assert args == ('gloo', ) and kwargs['timeout'].total_seconds() == 60
    assert cfg.model_wrapper_cfg == dict(
        type='CPUDistributedDataParallel',
        broadcast_buffers=True,
        find_unused_parameters=False)


class Normalised(BaseModel):

    def __init__(self):
        super().__init__()
        self.norm = nn.SyncBatchNorm(2)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.norm(inputs)


def test_sync_bn_becomes_bn(one_process, capfd):
    model = CPUDistributedDataParallel(Normalised(), device_ids=[0])
    assert not isinstance(model.module.norm, nn.SyncBatchNorm)
    inputs = torch.rand(8, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    assert model(inputs).mean().abs() < 1e-6
