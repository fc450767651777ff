# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What the tools that run a config share: options, the config, the Runner."""

import logging
import os
import os.path as osp
import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Optional

import torch
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.dist import init_dist, is_distributed
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import CheckpointLoader, Runner
from mmengine.utils.dl_utils import set_multi_processing

from .. import compat
from .bfloat16 import BFloat16OptimWrapper, cpu_has_bfloat16
from .cpu_distributed import prepare_for_cpu


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of a tool that runs a config."""
    parser.add_argument('--work-dir', help='the folder for logs and results')
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher')
    # torch.distributed.launch, which mim uses, passes the rank as an option.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_cfg_options(parser: ArgumentParser) -> None:
    """Add the option that overrides settings of the config."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='override settings of the config, as KEY=VALUE pairs; a list is '
        'written KEY="[a,b]" or KEY=a,b, without white space')


def read_config(path: str, cfg_options: Optional[dict] = None) -> Config:
    """Read a config file, with settings that override its own."""
    if not osp.isfile(path):
        raise SystemExit(f'{path}: no such config file. The configs '
                         'that ship are in configs/afa and configs/mix.')
    cfg = Config.fromfile(path)
    if isinstance(cfg_options, list):
        parser = ArgumentParser()
        parser.add_argument('--cfg-options', nargs='+', action=DictAction)
        cfg_options = parser.parse_args(['--cfg-options', *cfg_options]).cfg_options
    cfg.merge_from_dict(cfg_options or {})
    return cfg


def load_config(args: Namespace) -> Config:
    """Read the config that the options name, with their overrides.

    The work folder is, in this order, the option, the config's ``work_dir``,
    or ``work_dirs/NAME_OF_THE_CONFIG``.

    Args:
        args (Namespace): The parsed options, and ``config``.

    Returns:
        Config: The config, with ``launcher`` and ``work_dir`` set.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config, args.cfg_options)
    name = osp.splitext(osp.basename(args.config))[0]
    cfg.work_dir = (
        args.work_dir or cfg.get('work_dir') or osp.join('work_dirs', name))
    cfg.launcher = args.launcher
    return cfg


def latest_checkpoint(folder: str) -> Optional[str]:
    """The newest checkpoint of a work folder, by its number.

    mmengine's ``last_checkpoint``, which names it, may be behind or empty
    where training was killed.
    """
    numbers = {}
    for path in Path(folder).glob('*.pth'):
        match = re.fullmatch(r'(?:iter|epoch)_(\d+)', path.stem)
        if match:
            numbers[int(match[1])] = str(path)
    return numbers[max(numbers)] if numbers else None


def resume(cfg: Config, checkpoint: str) -> None:
    """Make a run go on from a checkpoint, in place.

    Args:
        cfg (Config): With the work folder.
        checkpoint (str): A file, an address, or 'auto': the newest of the
            work folder or, if it has none, from the start.
    """
    cfg.resume = True
    if checkpoint != 'auto':
        check_checkpoint(checkpoint)
        cfg.load_from = checkpoint
    elif not (cfg.get('default_hooks') or {}).get('checkpoint',
                                                  {}).get('out_dir'):
        newest = latest_checkpoint(cfg.work_dir)
        cfg.load_from = newest or cfg.get('load_from')
        cfg.resume = newest is not None
        if not newest:
            print_log(
                f'{cfg.work_dir} has no checkpoint to resume: training '
                'starts from the beginning.',
                logger='current',
                level=logging.WARNING)


def check_checkpoint(path: str) -> None:
    """Stop if a checkpoint is neither a file nor an address."""
    if '://' not in path and not osp.isfile(path):
        raise SystemExit(f'{path}: no such checkpoint file. Training writes '
                         'its checkpoints to work_dirs/NAME_OF_THE_CONFIG.')


def check_weights(runner: Runner, path: str) -> None:
    """Refuse a checkpoint that is not of the Runner's model; see
    :func:`mmseg_afa.compat.check_weights`."""
    model = runner.model
    if is_model_wrapper(model):
        model = model.module
    if isinstance(model, BaseTTAModel):
        model = model.module
    compat.check_weights(model, CheckpointLoader.load_checkpoint(path, 'cpu'),
                         path)


def refiner_config(cfg: Config, name: str) -> Optional[dict]:
    """The refiner that ``--refine none|par|crf`` names; PAR as the config's
    labeler has it, if it does."""
    par = cfg.model.get('labeler', {}).get('refiner') or dict(type='PAR')
    return dict(none=None, par=par, crf=dict(type='DenseCRF'))[name]


def enable_amp(cfg: Config, dtype: str = 'bfloat16') -> None:
    """Turn on automatic mixed precision, in place.

    Args:
        cfg (Config): A config whose optimizer wrapper is OptimWrapper, or one
            for mixed precision already, which keeps its settings.
        dtype (str): 'bfloat16' or 'float16'. Only the latter needs its loss
            scaled, which waits for the GPU in each step.
    """
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper == 'OptimWrapper':
        cfg.optim_wrapper.update(
            type='AmpOptimWrapper',
            dtype=dtype,
            loss_scale='dynamic' if dtype == 'float16' else dict(
                enabled=False))
    elif wrapper not in ('AmpOptimWrapper', BFloat16OptimWrapper.__name__):
        raise SystemExit('--amp goes with optim_wrapper.type OptimWrapper, '
                         f'not {wrapper}: leave it out.')
    check_amp(cfg)


def check_amp(cfg: Config) -> None:
    """Make mixed precision, if it is asked for, that of the CPU, in place.

    Nothing is done where there is a GPU. A CPU without instructions for
    bfloat16 gets float32.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    if get_device() != 'cpu':
        return
    if wrapper.get('type') == 'AmpOptimWrapper':
        if wrapper.get('dtype') not in ('bfloat16', torch.bfloat16):
            raise SystemExit(
                'float16 needs a GPU, and this machine has none: train with '
                "--amp bfloat16, or optim_wrapper.dtype='bfloat16'.")
        for setting in ('dtype', 'loss_scale', 'use_fsdp'):
            wrapper.pop(setting, None)
        wrapper.type = BFloat16OptimWrapper.__name__
    if (wrapper.get('type') == BFloat16OptimWrapper.__name__
            and not cpu_has_bfloat16()):
        print_log(
            'This CPU has no instructions for bfloat16 (AVX512_BF16), with '
            'which alone mixed precision is faster: training in float32.',
            logger='current',
            level=logging.WARNING)
        wrapper.type = 'OptimWrapper'


def start_processes(cfg: Config) -> None:
    """Let the processes of a launcher find each other, on GPUs or without,
    as the Runner would do later."""
    prepare_for_cpu(cfg)
    if cfg.launcher != 'none' and not is_distributed():
        env_cfg = cfg.get('env_cfg') or {}
        set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
        init_dist(cfg.launcher, **env_cfg.get('dist_cfg', {}))


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of a config, also where there is no GPU."""
    start_processes(cfg)
    return RUNNERS.get(cfg.get('runner_type', 'Runner')).from_cfg(cfg)
