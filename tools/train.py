# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train a segmentor."""

import argparse
from typing import List, Optional

from mmengine.dist import get_world_size

from mmseg_afa.compat import CheckpointError
from mmseg_afa.engine import launch, preflight
from mmseg_afa.engine.auto_scale import auto_scale
from mmseg_afa.engine.hooks.non_finite_loss_hook import NonFiniteLossError
from mmseg_afa.engine.run_summary import run_summary


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
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
        help='train with automatic mixed precision; with no value in '
        'bfloat16, which a CPU that has instructions for it can, too')
    parser.add_argument(
        '--no-auto-scale',
        action='store_true',
        help='do not fit iterations and learning rate to the number of images '
        'that all processes take in an iteration')
    launch.add_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Optional[List[str]] = None) -> None:
    """Train what the command line names."""
    args = parse_args(argv)
    cfg = launch.load_config(args)
    if args.amp:
        launch.enable_amp(cfg, args.amp)
    launch.check_amp(cfg)
    if args.resume:
        launch.resume(cfg, args.resume)
    if args.no_auto_scale:
        cfg.auto_scale_lr = None
    launch.start_processes(cfg)
    scaled = auto_scale(cfg, get_world_size())
    try:
        preflight.check_config(cfg)
        runner = launch.build_runner(cfg)
        runner.logger.info(run_summary(cfg, get_world_size(), scaled))
        preflight.check_runner(runner)
        runner.train()
    except (CheckpointError, NonFiniteLossError,
            preflight.ConfigError) as error:
        raise SystemExit(str(error))


if __name__ == '__main__':
    main()
