# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train a segmentor."""

import argparse

from mmengine.registry import RUNNERS
from mmengine.runner import Runner

import mmseg_afa
from mmseg_afa import launch


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint; with no value, from the latest one '
        'in the work folder')
    parser.add_argument(
        '--amp',
        nargs='?',
        const='bfloat16',
        choices=['bfloat16', 'float16'],
        help='train with automatic mixed precision; with no value in bfloat16')
    launch.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Train what the command line names."""
    args = parse_args()
    cfg = launch.load_config(args)
    if args.amp:
        mmseg_afa.compat.enable_amp(cfg, args.amp)
    mmseg_afa.compat.check_amp(cfg)
    cfg.resume = args.resume is not None
    if cfg.resume and args.resume != 'auto':
        launch.check_checkpoint(args.resume)
        cfg.load_from = args.resume
    mmseg_afa.compat.prepare_for_cpu(cfg)
    runner_class = RUNNERS.get(cfg.get('runner_type', Runner.__name__))
    try:
        runner_class.from_cfg(cfg).train()
    except mmseg_afa.compat.CheckpointError as error:
        raise SystemExit(str(error))


if __name__ == '__main__':
    main()
