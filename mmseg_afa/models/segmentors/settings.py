# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Refuse settings that mmseg accepts, and that AFA would ignore or fail on."""
import torch
from mmengine.config import ConfigDict
from mmseg.utils import ConfigType
from torch import nn

from ...utils import UserError
from .maps import SOURCES

TEST_DEFAULTS = dict(
    mode='whole',
    crop_size=None,
    stride=None,
    sources=('seg', ),
    cam_scales=(1., ),
    refiner=None)


def complete_test_cfg(test_cfg: ConfigType) -> ConfigDict:
    """Fill in the defaults of AFA's test_cfg and check it."""
    unknown = set(test_cfg) - set(TEST_DEFAULTS)
    if unknown:
        raise UserError(f'model.test_cfg: unknown {sorted(unknown)}. AFA '
                        f'knows {sorted(TEST_DEFAULTS)}.')
    cfg = ConfigDict(TEST_DEFAULTS, **test_cfg)
    if isinstance(cfg.sources, str) or set(cfg.sources) - set(SOURCES):
        raise UserError(f'model.test_cfg.sources: found {cfg.sources!r}, '
                        f'expected a list of {", ".join(SOURCES)}.')
    windows = cfg.mode == 'slide' and cfg.crop_size and cfg.stride
    if cfg.mode != 'whole' and not windows:
        raise UserError(f'model.test_cfg.mode: found {cfg.mode!r}, expected '
                        "'whole', or 'slide' with crop_size and stride.")
    return cfg


def check_settings(model: nn.Module) -> None:
    """Check the parts of an AFA that is built, before weights are loaded."""
    if model.with_auxiliary_head:
        raise UserError(
            'model.auxiliary_head: AFA never trains it, because its images '
            'have no masks. Remove it. For a second training on masks, use an '
            'EncoderDecoder.')
    for key, module in model.named_modules():
        name = getattr(module, 'loss_name', 'loss')
        if 'loss' not in name:
            raise UserError(
                f'model.{key}.loss_name: found {name!r}. mmengine only trains '
                f"values with 'loss' in the name. Write 'loss_{name}'.")
    check_seg_losses(model.decode_head)


@torch.enable_grad()
def check_seg_losses(head: nn.Module) -> None:
    """Check that pixels which a label ignores do not train a head."""
    count, ignored, reason = head.num_classes, head.ignore_index, None
    logits = torch.linspace(-1, 1, 2 * count * (count + 1))
    logits = logits.view(2, count, 1, count + 1).requires_grad_()
    try:
        label = torch.full((2, 1, count + 1), ignored)
        label[0, 0, :count] = torch.arange(count)
        losses = head.loss_by_label(logits, label)
        sum(value.mean() for value in losses.values()).backward()
        if logits.grad.any(1)[label == ignored].any():
            reason = 'it trains these pixels'
    except Exception as error:  # of the code of others
        reason = error
    if reason:
        names = ' + '.join(
            type(module).__name__ for module in head.loss_decode.modules()
            if hasattr(module, 'loss_name'))
        raise UserError(
            f'model.decode_head.loss_decode: {names} fails on a label with '
            f'ignored pixels ({ignored}): {reason}. Use BalancedSegLoss, '
            'TverskyLoss, or CrossEntropyLoss without class_weight.')
