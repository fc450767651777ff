# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read the reference tensors, and compute the weights behind them."""
import json
import os
import zlib
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

import mmseg_afa  # noqa: F401
from tools.model_converters.afa2mmseg import convert

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = Path(
    os.environ.get('AFA_REFERENCE_DIR', ROOT / 'tests/data/reference'))
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
RTOL = 1e-4
SAME_PIXELS = 0.999


def names(prefix):
    """List the stems of the reference files that begin with a prefix."""
    found = sorted(p.stem for p in REFERENCE.glob(f'{prefix}*.npz'))
    assert found, f'no {prefix}*.npz in {REFERENCE}'
    return found


def load(name):
    """Load the arrays of a reference file as tensors."""
    with np.load(REFERENCE / f'{name}.npz', allow_pickle=False) as arrays:
        return {k: torch.from_numpy(np.array(v)) for k, v in arrays.items()}


def meta(name):
    """Read the seed, the class count and more of a reference file."""
    entries = json.loads((REFERENCE / 'meta.json').read_text())
    return {**entries['default'], **entries.get(name, {})}


def fill(name, shape, seed):
    """Compute the weight or buffer of a published name from name and seed."""
    rng = np.random.RandomState(
        (zlib.crc32(name.encode()) + 7919 * seed) % 2**32)
    if name.endswith('num_batches_tracked'):
        return np.zeros(shape, np.int64)
    if name.endswith('running_var'):
        value = rng.uniform(.5, 1.5, shape)
    elif name.endswith('running_mean'):
        value = .1 * rng.standard_normal(shape)
    elif name.endswith('bias'):
        value = .05 * rng.standard_normal(shape)
    elif len(shape) == 1:
        value = 1 + .1 * rng.standard_normal(shape)
    else:
        value = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return value.astype(np.float32)


def published_shapes(num_classes):
    """Read {published name: shape} for a number of classes and background."""
    path = REFERENCE / f'state_dict_mit-b0_{num_classes}.json'
    if path.exists():
        return json.loads(path.read_text())
    path = sorted(REFERENCE.glob('state_dict_mit-b0_*.json'))[0]
    shapes = json.loads(path.read_text())
    for name in ('decoder.linear_pred.weight', 'decoder.linear_pred.bias'):
        shapes[name] = [num_classes, *shapes[name][1:]]
    name = 'classifier.weight'
    shapes[name] = [num_classes - 1, *shapes[name][1:]]
    return shapes


def published_checkpoint(name, prefix='module.'):
    """Compute the checkpoint of a reference file, with the published names."""
    about = meta(name)
    return {
        prefix + k:
        torch.from_numpy(np.asarray(fill(k, tuple(v), about['weights_seed'])))
        for k, v in published_shapes(about['num_classes']).items()
    }


def config(name, base='configs/afa/afa_mit-b0_voc.py'):
    """Load a shipped config with the class count of a reference file."""
    cfg = Config.fromfile(ROOT / base)
    cfg.model.decode_head.num_classes = meta(name)['num_classes']
    cfg.model.decode_head.norm_cfg.type = 'BN'
    cfg.model.backbone.init_cfg = None
    return cfg


def load_published(model, name):
    """Load the converted weights of a reference file, all of them."""
    model.load_state_dict(convert(published_checkpoint(name)), strict=True)
    return model


def build_model(name, **backbone):
    """Build the shipped model with a reference file's weights, to evaluate."""
    init_default_scope('mmseg')
    cfg = config(name)
    cfg.model.backbone.update(backbone)
    return load_published(MODELS.build(cfg.model), name).eval()


def network_input(images):
    """Normalise uint8 RGB images (B, 3, H, W) for the network."""
    return (images.float() - MEAN) / STD


def assert_close(actual, expected, rtol=RTOL):
    """Compare the largest difference, over the largest value, with rtol."""
    actual = actual.detach().double()
    expected = expected.double()
    assert actual.shape == expected.shape
    error = (actual - expected).abs().max() / expected.abs().max()
    assert error <= rtol, f'relative error {error:.2e} > {rtol:.0e}'


def assert_same_labels(actual, expected):
    """Compare the share of equal pixels with SAME_PIXELS."""
    assert actual.shape == expected.shape
    same = (actual.long() == expected.long()).double().mean()
    assert same >= SAME_PIXELS, f'only {same:.4%} of the pixels are equal'
