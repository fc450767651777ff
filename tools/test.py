# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Test (and evaluate) a segmentor."""

import argparse

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

import mmseg_afa
from mmseg_afa import launch


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config file')
    parser.add_argument('checkpoint', help='the checkpoint file')
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='write the predicted masks to this folder')
    parser.add_argument(
        '--show', action='store_true', help='show the predictions')
    parser.add_argument(
        '--show-dir', help='write the painted images to this folder')
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        help='how long --show shows an image, in seconds')
    parser.add_argument(
        '--tta', action='store_true', help='test-time augmentation')
    launch.add_arguments(parser)
    return parser.parse_args()


def draw_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Have the visualization hook draw, in place.

    Args:
        cfg (Config): The config to test.
        args (Namespace): The options ``show``, ``show_dir``, ``wait_time``.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise SystemExit('--show and --show-dir need the hook that draws: add '
                         "visualization=dict(type='SegVisualizationHook') to "
                         'default_hooks of the config.')
    hook.update(draw=True, show=args.show, wait_time=args.wait_time)
    hook.setdefault('interval', 1)  # mmseg's default draws one image in 50
    if args.show_dir:
        cfg.visualizer.save_dir = args.show_dir


def augment(cfg: Config) -> None:
    """Put the test-time augmentation of the config to use, in place.

    Args:
        cfg (Config): The config to test.
    """
    missing = [key for key in ('tta_model', 'tta_pipeline') if key not in cfg]
    if missing:
        raise SystemExit(f'--tta needs {" and ".join(missing)} in the config.')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def main() -> None:
    """Test what the command line names."""
    args = parse_args()
    cfg = launch.load_config(args)
    launch.check_checkpoint(args.checkpoint)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show or args.show_dir:
        draw_predictions(cfg, args)
    if args.tta:
        augment(cfg)
    if args.out is not None:
        mmseg_afa.compat.set_output_dir(cfg, args.out)
    mmseg_afa.compat.prepare_for_cpu(cfg)
    runner_class = RUNNERS.get(cfg.get('runner_type', Runner.__name__))
    try:
        runner_class.from_cfg(cfg).test()
    except mmseg_afa.compat.CheckpointError as error:
        raise SystemExit(str(error))


if __name__ == '__main__':
    main()
