# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Schedule the phases of AFA's training (section 4.1 of the paper)."""
from mmengine.logging import MessageHub
from mmseg.utils import ConfigType

from ...utils import UserError

# In this order: classification alone, CAM labels, refined labels.
CLASSIFY, CAM_LABELS, REFINED_LABELS = 'classify', 'cam', 'refined'

DEFAULTS = dict(
    cam_scales=(1., 0.5, 1.5),
    cam_eval_mode=False,
    cam_flip_in_batch=None,
    cam_iters=2000,
    switch_iter=6000,
    affinity_label_from='cam')


def current_iteration() -> int:
    """Read the iteration of the Runner, 0 without one; survives a resume."""
    return MessageHub.get_current_instance().get_info('iter', 0)


def phase_of(iteration: int, train_cfg: dict) -> str:
    """Name the phase that an iteration (from 0) is in."""
    if iteration <= train_cfg['cam_iters']:
        return CLASSIFY
    if iteration <= train_cfg['switch_iter']:
        return CAM_LABELS
    return REFINED_LABELS


def complete_train_cfg(train_cfg: ConfigType) -> dict:
    """Fill in the defaults of AFA's train_cfg (those of VOC) and check it."""
    unknown = set(train_cfg) - set(DEFAULTS)
    if unknown:
        raise UserError(f'train_cfg: unknown {sorted(unknown)}; AFA knows '
                        f'{sorted(DEFAULTS)}')
    cfg = {**DEFAULTS, **train_cfg}
    if cfg['affinity_label_from'] not in ('cam', 'seg'):
        raise UserError("train_cfg.affinity_label_from must be 'cam' or "
                        f"'seg', got {cfg['affinity_label_from']!r}")
    if cfg['switch_iter'] < cfg['cam_iters']:
        raise UserError(
            f'train_cfg.switch_iter ({cfg["switch_iter"]}) must not be below '
            f'cam_iters ({cfg["cam_iters"]})')
    return cfg
