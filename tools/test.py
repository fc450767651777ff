# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Test (and evaluate) a segmentor."""

import argparse
import inspect
from pathlib import Path
from typing import Dict, List, Optional

import mmengine
import mmseg
import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmseg.registry import METRICS

import mmseg_afa
from mmseg_afa.engine import launch
from mmseg_afa.evaluation import WeakIoUMetric
from mmseg_afa.evaluation.report import checkpoint_rule, rows, write_report
from mmseg_afa.utils import CheckpointError


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
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
    parser.add_argument(
        '--refine',
        default='none',
        choices=['none', 'par', 'crf'],
        help='sharpen the segmentation along edges')
    launch.add_arguments(parser)
    return parser.parse_args(argv)


def draw_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Turn on the drawing of the visualization hook, in place."""
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
    """Turn on the test-time augmentation of the config, in place."""
    missing = [key for key in ('tta_model', 'tta_pipeline') if key not in cfg]
    if missing:
        raise SystemExit(f'--tta needs {" and ".join(missing)} in the config.')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def takes_output_dir(metric: dict) -> bool:
    """Whether the class of a metric, or a parent, can write predictions."""
    classes = inspect.getmro(METRICS.get(metric['type']))
    return any('output_dir' in inspect.signature(c.__init__).parameters
               for c in classes if c is not object)


def set_output_dir(cfg: Config, output_dir: str) -> None:
    """Set the folder to which the predictions are written, in place.

    mmseg's tools/test.py fails where ``test_evaluator`` is a list.
    """
    metrics = cfg.test_evaluator
    metrics = [metrics] if isinstance(metrics, dict) else metrics
    for metric in metrics:
        if takes_output_dir(metric):
            metric['output_dir'] = output_dir
            return  # the others would write the same files again
    raise SystemExit('--out: none of the test metrics '
                     f'{[metric["type"] for metric in metrics]} writes '
                     "predictions. Add dict(type='IoUMetric') to "
                     'test_evaluator.')


def refine(cfg: Config, name: str) -> None:
    """Turn on the refinement of predictions, in place."""
    refiner = launch.refiner_config(cfg, name)
    cfg.custom_hooks = [
        *cfg.get('custom_hooks', []),
        dict(
            type='PARRefinementHook', refiner=refiner, refine_predictions=True)
    ]


def report(cfg: Config, args: argparse.Namespace, runner: Runner,
           scores: Dict[str, float]) -> None:
    """Write the scores, and how they came about, to the work folder."""
    metrics = runner.test_evaluator.metrics
    metric = next((m for m in metrics if isinstance(m, WeakIoUMetric)), None)
    if metric is None or metric.format_only or not is_main_process():
        return
    dataset = runner.test_dataloader.dataset
    tta = cfg.get('tta_model')
    labeler = cfg.model.get('module', cfg.model).get('labeler', {})
    about = {
        'config':
        args.config,
        'checkpoint':
        Path(args.checkpoint).name,
        'chosen by':
        checkpoint_rule(args.checkpoint),
        'split':
        f'{cfg.test_dataloader.dataset.get("ann_file") or "folder"}'
        f', {len(dataset)} images',
        'test-time augmentation':
        'none' if not args.tta else
        f'scales {tuple(tta.scales)}{", flip" * tta.flip}, maximum of logits',
        'refinement of the segmentation':
        args.refine,
        'background score of CAMs':
        labeler.get('bkg_score', 0.45),
        'versions':
        ', '.join(f'{module.__name__} {module.__version__}'
                  for module in (mmseg_afa, torch, mmengine, mmseg)),
    }
    image_labels = {
        key.partition('/')[2]: value
        for key, value in scores.items() if key.startswith('image_label/')
    }
    write_report(
        Path(cfg.work_dir),
        dict(
            about=about,
            rows=rows(metric.report),
            image_labels=image_labels,
            sweeps=metric.sweeps), about['background score of CAMs'])
    print(Path(cfg.work_dir) / 'report.md')


def main(argv: Optional[List[str]] = None) -> None:
    """Test what the command line names."""
    args = parse_args(argv)
    cfg = launch.load_config(args)
    launch.check_checkpoint(args.checkpoint)
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show or args.show_dir:
        draw_predictions(cfg, args)
    if cfg.model.type == 'AFA':
        cfg.model.test_cfg.setdefault('with_pseudo_labels', True)
    if args.refine != 'none':
        refine(cfg, args.refine)
    if args.tta:
        augment(cfg)
    if args.out is not None:
        set_output_dir(cfg, args.out)
    try:
        runner = launch.build_runner(cfg)
        launch.check_weights(runner, args.checkpoint)
        report(cfg, args, runner, runner.test())
    except (CheckpointError, ImportError) as error:
        raise SystemExit(str(error))


if __name__ == '__main__':
    main()
