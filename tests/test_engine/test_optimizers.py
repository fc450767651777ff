# Copyright (c) mmseg_afa contributors. All rights reserved.
import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from tests.test_configs import configs


def small_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def train(net, constructor, **paramwise_cfg):
    """Train 20 steps; return the wrapper."""
    wrapper = build_optim_wrapper(
        net,
        dict(
            type='OptimWrapper',
            constructor=constructor,
            optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1),
            paramwise_cfg=dict(
                custom_keys={
                    '2': dict(lr_mult=10.),
                    '2.bias': dict(lr_mult=10., decay_mult=0.)
                },
                **paramwise_cfg)))
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        images = torch.randn(5, 3, generator=generator)
        wrapper.update_params(net(images).square().mean())
    return wrapper


@pytest.mark.parametrize('norm', [{}, dict(norm_decay_mult=0.)])
def test_steps_equal_those_of_single_groups(norm):
    net = small_network()
    single = copy.deepcopy(net)
    merged = train(net, 'GroupedOptimWrapperConstructor', **norm)
    groups = train(single, 'DefaultOptimWrapperConstructor', **norm)
    assert len(groups.optimizer.param_groups) == 6
    settings = {(group.get('lr'), group['weight_decay'])
                for group in groups.optimizer.param_groups}
    assert len(merged.optimizer.param_groups) == len(settings) == 3 + len(norm)
    for own, other in zip(net.parameters(), single.parameters()):
        assert torch.equal(own, other)


def test_voc_has_few_groups():
    cfg = configs.load(configs.ROOT / 'configs/afa/afa_mit-b1_voc.py')
    net = configs.build_shallow(cfg)
    groups = build_optim_wrapper(net, cfg.optim_wrapper).optimizer.param_groups
    rates = [group['lr'] for group in groups]
    assert sorted(rates) == pytest.approx([0., 6e-5, 6e-4])
    counted = sum(len(group['params']) for group in groups)
    assert counted == len(list(net.parameters()))
