# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Load and build the configs that ship."""
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.models import VisionTransformer
from mmseg.registry import MODELS
from torch.overrides import TorchFunctionMode

from mmseg_afa.models.backbones.attn_mit import ARCHS
from tests.test_reference.reference import ROOT

CONFIGS = sorted((ROOT / 'configs').glob('[a-z]*/*.py'))
SHALLOW_MIT = {
    name: dict(arch, num_layers=(1, 1, 1, 2))
    for name, arch in ARCHS.items()
}


def load(path, keep_weights=False):
    """Load a config, by default without the weights that it names."""
    cfg = Config.fromfile(path)
    init_default_scope('mmseg')
    if cfg.model.decode_head.get('num_classes', 0) is None:
        cfg.model.decode_head.num_classes = 4  # by data that is not here
    if not keep_weights:
        for part in (cfg.model.backbone, cfg.model):
            part.pop('init_cfg', None)
            part.pop('pretrained', None)
    return cfg


def build_shallow(cfg):
    """Build a config's model with few of a transformer's blocks.

    The blocks of a stage are alike: few of them show as much as many.
    """
    model = cfg.model.copy()
    if model.backbone.type in ('AttnVisionTransformer',
                               'mmpretrain.VisionTransformer'):
        arch = VisionTransformer.arch_zoo[model.backbone.arch]
        model.backbone.arch = dict(arch, num_layers=3)
    with mock.patch.dict(ARCHS, SHALLOW_MIT):
        return MODELS.build(model)


class MetaWeights(TorchFunctionMode):
    """Build modules quickly: their weights have shapes and no values."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.empty:
            kwargs = {**kwargs, 'device': 'meta'}
        return func(*args, **kwargs)
