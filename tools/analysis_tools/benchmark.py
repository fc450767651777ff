# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Time training, inference and PAR of a config on this machine.

    python tools/analysis_tools/benchmark.py configs/afa/afa_mit-b1_voc.py
    python tools/analysis_tools/benchmark.py --compare before.json after.json
"""
import argparse
import json
import os.path as osp
import subprocess
import sys
from itertools import chain, repeat
from tempfile import TemporaryDirectory

import torch
from mmengine.device import get_device
from mmengine.runner import Runner

from mmseg_afa import benchmark, compat, launch
from mmseg_afa.benchmark.training import PHASES, build, synthetic_batches
from mmseg_afa.utils import positive, replacing


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', help='the config file')
    parser.add_argument(
        '--compare',
        nargs=2,
        metavar=('BEFORE', 'AFTER'),
        help='compare two files written by --out, and do nothing else')
    parser.add_argument('--out', help='JSON file to write')
    parser.add_argument(
        '--steps', type=positive, default=20, help='steps timed per phase')
    parser.add_argument(
        '--warmup', type=positive, default=3, help='steps before these')
    parser.add_argument(
        '--phases',
        nargs='+',
        choices=PHASES,
        default=list(PHASES),
        help='phases of the schedule (default: all)')
    parser.add_argument(
        '--crop', type=positive, help="side in pixels (default: the config's)")
    parser.add_argument(
        '--batch', type=positive, help="images a step (default: the config's)")
    parser.add_argument(
        '--synthetic',
        action='store_true',
        help='random crops, also where the images of the config are there')
    parser.add_argument(
        '--amp',
        choices=['bfloat16', 'float16'],
        help='mixed precision (GPU only)')
    parser.add_argument(
        '--crops',
        nargs='*',
        type=positive,
        default=[],
        help='also time the last of the phases at these crops')
    parser.add_argument(
        '--batches',
        nargs='*',
        type=positive,
        default=[],
        help='also time the last of the phases with these batches')
    parser.add_argument(
        '--training-only',
        action='store_true',
        help='leave out inference and PAR')
    launch.add_arguments(parser)
    args = parser.parse_args(argv)
    if (args.config is None) == (args.compare is None):
        parser.error('give a config, or --compare and two files')
    return args


def make_batches(cfg, synthetic: bool, batch: int, crop: int):
    """Batches from the config's data loader if its images are there, or
    random ones; and what they are, in words."""
    loader = cfg.train_dataloader
    root = loader.dataset.get('data_root') or ''
    if synthetic or not osp.isdir(root):
        made = synthetic_batches(batch, crop,
                                 cfg.model.decode_head.num_classes)
        # made once: drawing them is no part of a step
        ready = [next(made) for _ in range(4)]
        return chain.from_iterable(repeat(ready)), 'random crops in memory'
    loader.batch_size = batch
    for transform in loader.dataset.pipeline:
        if 'crop_size' in transform:
            transform.crop_size = (crop, crop)
    batches = iter(Runner.build_dataloader(loader, seed=0))
    return batches, (f'{root}, decoded and augmented by '
                     f'{loader.get("num_workers", 0)} workers')


def config_crop(cfg) -> int:
    """The side of the config's crops."""
    return next(t.crop_size[0] for t in cfg.train_dataloader.dataset.pipeline
                if 'crop_size' in t)


def measure(args: argparse.Namespace) -> dict:
    """Everything that is asked for, as a report."""
    cfg = launch.load_config(args)
    if args.amp:
        compat.enable_amp(cfg, args.amp)
    compat.check_amp(cfg)
    compat.prepare_for_cpu(cfg)
    device = torch.device(get_device())
    dtype = getattr(torch, args.amp or 'float32')
    batch = args.batch or cfg.train_dataloader.batch_size
    crop = args.crop or config_crop(cfg)
    report = dict(
        environment=benchmark.describe_device(device),
        config=osp.basename(args.config),
        crop=crop,
        precision=args.amp or 'float32',
        peak=benchmark.measured_peak(device, dtype))
    with TemporaryDirectory() as work_dir:
        runner = build(cfg, work_dir)
        batches, report['data'] = make_batches(cfg, args.synthetic, batch,
                                               crop)
        report['training'] = [
            benchmark.benchmark_training(runner, batches, phase, args.steps,
                                         args.warmup) for phase in args.phases
        ]
        if set(args.phases) == set(PHASES):
            report['projected'] = benchmark.projected_seconds(
                report['training'])
        if not args.training_only:
            report['inference'] = benchmark.benchmark_inference(
                runner.model, batch, crop, dtype=dtype)
            report['par'] = benchmark.benchmark_par(device)
    return report


def measure_cells(args: argparse.Namespace, argv: list) -> dict:
    """The last phase at other crops and batches, each in a process of its
    own: on the CPU memory is that of the process, and one may run out."""
    growth = {}
    for name, values in (('crop', args.crops), ('batch', args.batches)):
        for value in values:
            with TemporaryDirectory() as folder:
                out = osp.join(folder, 'cell.json')
                run = subprocess.run([
                    sys.executable, __file__, *argv, '--phases',
                    args.phases[-1], f'--{name}',
                    str(value), '--synthetic', '--training-only', '--crops',
                    '--batches', '--out', out
                ],
                                     stdout=subprocess.DEVNULL)
                cell = {}
                if run.returncode == 0:
                    with open(out) as file:
                        cell, = json.load(file)['training']
            growth.setdefault(name, []).append({**cell, name: value})
            print(name, value, cell.get('seconds', 'failed'), flush=True)
    return growth


def main(argv=None) -> None:
    """Measure, or compare."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)
    if args.compare:
        reports = []
        for path in args.compare:
            with open(path) as file:
                reports.append(json.load(file))
        print(benchmark.compare_table(*reports))
        return
    report = measure(args)
    report['growth'] = measure_cells(args, argv)
    print(benchmark.report_tables(report))
    if args.out:
        with replacing(args.out) as unfinished:
            unfinished.write_text(json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
    main()
