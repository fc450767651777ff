# Copyright (c) mmseg_afa contributors. All rights reserved.
"""List and load the configs that ship."""
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch.overrides import TorchFunctionMode

from tests.test_reference.reference import ROOT

CONFIGS = sorted((ROOT / 'configs').glob('[a-z]*/*.py'))


def load(path, keep_weights=False):
    """Load a config, by default without the weights that it names."""
    cfg = Config.fromfile(path)
    init_default_scope('mmseg')
    if not keep_weights:
        for part in (cfg.model.backbone, cfg.model):
            part.pop('init_cfg', None)
            part.pop('pretrained', None)
    return cfg


class MetaWeights(TorchFunctionMode):
    """Build modules whose weights have a shape and no values: in no time."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.empty:
            kwargs = {**kwargs, 'device': 'meta'}
        return func(*args, **kwargs)


def build_on_meta(cfg):
    """Build a config's model where its structure alone is looked at."""
    with MetaWeights():
        return MODELS.build(cfg.model)
