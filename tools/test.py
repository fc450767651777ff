# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Test (and evaluate) a segmentor."""
import argparse
from os.path import expanduser
from pathlib import Path
from typing import List, Optional


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='the config file')
    add('checkpoint', help='the checkpoint file')
    add('--out',
        type=expanduser,
        metavar='DIR',
        help='write the predicted masks to this folder, as NAME.png')
    add('--source',
        default='seg',
        help='the source of the masks that --out writes: seg (the '
        'segmentation, the default), cam, affinity_cam, cam_label or '
        'refined_label; labels are made with the image labels')
    add('--show', action='store_true', help='show the predictions')
    add('--show-dir',
        type=expanduser,
        help='write the painted images to this folder')
    add('--wait-time',
        type=float,
        default=2,
        help='how long --show shows an image, in seconds')
    add('--tta', action='store_true', help='test-time augmentation')
    add('--refine',
        default='none',
        choices=['none', 'par', 'crf'],
        help='align predictions with edges; labels are refined already')
    add('--work-dir', help='the folder for logs and results')
    add('--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='override settings of the config; a list is written KEY="[a,b]" '
        'or KEY=a,b, without white space')
    add('--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher')
    # torch.distributed.launch, which mim uses, passes the rank as an option
    add('--local_rank', '--local-rank', type=int, default=0)
    return parser.parse_args(argv)


def draw_predictions(cfg, args: argparse.Namespace) -> None:
    """Turn on the drawing of the visualization hook, in place."""
    hook = cfg.default_hooks.visualization
    hook.update(draw=True, show=args.show, wait_time=args.wait_time)
    hook.setdefault('interval', 1)  # mmseg's default draws one image in 50
    if args.show_dir:
        cfg.visualizer.save_dir = args.show_dir


def augment(cfg) -> None:
    """Turn on the test-time augmentation of the config, in place."""
    missing = [key for key in ('tta_model', 'tta_pipeline') if key not in cfg]
    if missing:
        raise SystemExit(f'--tta needs {" and ".join(missing)} in the config.')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(cfg.tta_model, module=cfg.model)


def set_output_dir(cfg, output_dir: str, source: str) -> None:
    """Set the folder to which the masks of a source are written, in place."""
    from mmseg.evaluation import IoUMetric
    from mmseg.registry import METRICS

    from mmseg_afa.evaluation import WeakIoUMetric
    from mmseg_afa.models import FIELDS, SOURCES
    if source not in SOURCES:
        raise SystemExit(f'--source: unknown {source!r}. Choose one of '
                         f'{", ".join(SOURCES)}.')
    metrics = cfg.test_evaluator
    metrics = [metrics] if isinstance(metrics, dict) else metrics
    writer = IoUMetric if source == 'seg' else WeakIoUMetric
    able = [m for m in metrics if issubclass(METRICS.get(m['type']), writer)]
    if not able:
        raise SystemExit(f'--out: no metric writes masks of {source}. Add '
                         "dict(type='WeakIoUMetric') to test_evaluator.")
    able[0]['output_dir'] = output_dir  # others would write the same files
    if source != 'seg':
        # as tools/predict.py: labels know the tags, nothing else does
        able[0]['output_field'] = next(
            name for name, field in FIELDS.items()
            if field.source.name == source and (
                field.tags != 'given' or field.source.needs_tags))


def report(cfg, args: argparse.Namespace, runner, scores: dict) -> None:
    """Write the scores and how they were measured."""
    import mmengine
    import mmseg
    import torch
    from mmengine.dist import is_main_process

    import mmseg_afa
    from mmseg_afa.evaluation import WeakIoUMetric
    from mmseg_afa.evaluation.report import checkpoint_rule, rows, write_report
    metrics = runner.test_evaluator.metrics
    metric = next((m for m in metrics if isinstance(m, WeakIoUMetric)), None)
    if metric is None or metric.format_only or not is_main_process():
        return
    dataset = runner.test_dataloader.dataset
    split = cfg.test_dataloader.dataset.get('ann_file') or 'folder'
    labeler = cfg.model.get('module', cfg.model).get('labeler', {})
    background = labeler.get('background', True)
    bkg_score = labeler.get('bkg_score', 0.45) if background else 'none'
    tta = 'none'
    if args.tta:
        scales, flip = tuple(cfg.tta_model.scales), cfg.tta_model.flip
        tta = f'scales {scales}{", flip" * flip}, maximum of logits'
    modules = mmseg_afa, torch, mmengine, mmseg
    about = {
        'config': args.config,
        'checkpoint': Path(args.checkpoint).name,
        'chosen by': checkpoint_rule(args.checkpoint),
        'split': f'{split}, {len(dataset)} images',
        'test-time augmentation': tta,
        'refinement of predictions': args.refine,
        'background score of CAMs': bkg_score,
        'versions': ', '.join(f'{m.__name__} {m.__version__}' for m in modules)
    }
    if metric.absent:
        about['classes that no mask shows'] = ', '.join(metric.absent)
    prefix, folder = 'image_label/', Path(cfg.work_dir)
    content = dict(
        about=about,
        rows=rows(metric.report),
        image_labels={
            key[len(prefix):]: score
            for key, score in scores.items() if key.startswith(prefix)
        },
        sweeps=metric.sweeps if background else {})
    write_report(folder, content, bkg_score)
    print(folder / 'report.md')


def main(argv: Optional[List[str]] = None) -> None:
    """Test the checkpoint that the command line names."""
    args = parse_args(argv)
    from mmseg_afa.engine import launch
    from mmseg_afa.evaluation.truth import check_truth
    from mmseg_afa.models import SOURCES
    from mmseg_afa.utils import check_least, exit_on_user_error
    with exit_on_user_error():
        check_least(vars(args), wait_time=0)
        cfg = launch.load_config(args)
        launch.check_loader(cfg, 'test_dataloader')
        launch.check_checkpoint(args.checkpoint)
        cfg.load_from = args.checkpoint
        cfg.resume = False
        if args.show or args.show_dir:
            draw_predictions(cfg, args)
        chosen = any(
            option.startswith('model.test_cfg.sources=')
            for option in args.cfg_options or ())
        if cfg.model.type == 'AFA' and not chosen:
            cfg.model.test_cfg.sources = list(SOURCES)
        if args.refine != 'none':
            refiner = launch.refiner_config(cfg, args.refine)
            cfg.custom_hooks = [
                *cfg.get('custom_hooks', []),
                dict(type='PARRefinementHook', refiner=refiner)
            ]
        if args.tta:
            augment(cfg)
        if args.out is not None:
            set_output_dir(cfg, args.out, args.source)
        runner = launch.build_runner(cfg)
        launch.check_weights(runner, args.checkpoint)
        check_truth(runner.test_loop)
        report(cfg, args, runner, runner.test())


if __name__ == '__main__':
    main()
