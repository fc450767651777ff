# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train a segmentor."""
import argparse
from typing import List, Optional


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config file')
    parser.add_argument('--work-dir', help='the folder for logs and results')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from this checkpoint; without a value, from the latest '
        'one in the work folder')
    parser.add_argument(
        '--amp',
        nargs='?',
        const='bfloat16',
        choices=['bfloat16', 'float16'],
        help='train with automatic mixed precision; without a value in '
        'bfloat16, also on a CPU with instructions for it')
    parser.add_argument(
        '--no-auto-scale',
        action='store_true',
        help='do not rescale iterations and learning rate to the number of '
        'images of all processes in an iteration')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='override settings of the config; a list is KEY="[a,b]" or '
        'KEY=a,b, without white space')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher')
    # torch.distributed.launch, which mim uses, passes the rank as an option.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser.parse_args(argv)


def train(args: argparse.Namespace) -> None:
    """Build the Runner of the config, log what it will do, and train."""
    from mmengine.dist import get_world_size

    from mmseg_afa.engine import launch, plan
    from mmseg_afa.evaluation.truth import check_truth

    cfg = launch.load_config(args)
    if args.amp:
        launch.enable_amp(cfg, args.amp)
    if args.resume or cfg.get('resume'):
        launch.resume(cfg, args.resume or cfg.get('load_from') or 'auto')
    if args.no_auto_scale:
        cfg.auto_scale_lr = None
    launch.start_processes(cfg)
    rescaled = plan.auto_scale(cfg, get_world_size())
    warnings = [
        *launch.check_options(
            launch.read_config(args.config), args.cfg_options or ()),
        *plan.check_plan(cfg)
    ]
    runner = launch.build_runner(cfg)
    launch.shorten_log(runner)
    if cfg.get('load_from'):
        launch.check_weights(
            runner, cfg.load_from, strict=bool(cfg.get('resume')))
    check_truth(runner.val_loop)
    plan.log_at_start(runner, plan.summarize(cfg, get_world_size(), rescaled),
                      warnings)
    runner.train()


def main(argv: Optional[List[str]] = None) -> None:
    """Run the command."""
    args = parse_args(argv)
    from mmseg_afa.utils import exit_on_user_error
    with exit_on_user_error():
        train(args)


if __name__ == '__main__':
    main()
