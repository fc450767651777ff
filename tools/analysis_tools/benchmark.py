# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Time a config's training steps, inference, PAR and data loader.

    python tools/analysis_tools/benchmark.py configs/afa/afa_mit-b1_voc.py
    python tools/analysis_tools/benchmark.py CONFIG --measure loader
    python tools/analysis_tools/benchmark.py --compare before.json after.json

Training and inference take random images and weights; only the loader needs
the data set.
"""
import argparse
import json
import os
import platform
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Dict

import torch
from benchmark_meters import read_proc
from benchmark_runs import (measure_inference, measure_loader, measure_par,
                            measure_training, random_batch)
from mmengine.device import get_device

from mmseg_afa.engine import launch
from mmseg_afa.models import PAR
from mmseg_afa.models.segmentors.afa import (REFINED_LABELS, CAM_LABELS,
                                             CLASSIFY)
from mmseg_afa.utils import replacing

PHASES = [CLASSIFY, CAM_LABELS, REFINED_LABELS]
LIBRARIES = ('torch', 'mmengine', 'mmcv', 'mmseg', 'mmseg_afa', 'numpy', 'cv2')


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', nargs='?', help='the config file')
    add('--measure',
        nargs='+',
        choices=[*PHASES, 'inference', 'par', 'loader'],
        default=[*PHASES, 'inference', 'par'],
        help='what to measure: training steps in those of the phases that '
        'the schedule has, and more (default: all but the loader)')
    add('--steps', type=int, default=20, help='steps timed in each phase')
    add('--crop', type=int, help="side in pixels (default: the config's)")
    add('--batch', type=int, help="images a step (default: the config's)")
    add('--workers',
        nargs='+',
        type=int,
        help="numbers of the loader's processes (default: the config's)")
    add('--amp',
        choices=['bfloat16', 'float16'],
        help='mixed precision (on a CPU bfloat16 only)')
    add('--json', metavar='FILE', help='file to write')
    add('--compare',
        nargs=2,
        metavar=('BEFORE', 'AFTER'),
        help='compare two files of --json, and do nothing else')
    launch.add_cfg_options(parser)
    args = parser.parse_args(argv)
    if (args.config is None) == (args.compare is None):
        parser.error('give a config, or --compare and two files')
    return args


def describe_machine(device: torch.device) -> Dict[str, str]:
    """Hardware and versions."""
    if device.type == 'cuda':
        name = torch.cuda.get_device_name(device)
    else:
        cpu = read_proc('cpuinfo', 'model name.*: (.*)') or platform.machine()
        name = f'{cpu} ({torch.get_num_threads()} of {os.cpu_count()} threads)'
    versions = {name: sys.modules[name].__version__ for name in LIBRARIES}
    return dict(device=name, python=platform.python_version(), **versions)


def measure(args: argparse.Namespace, work_dir: str) -> Dict[str, dict]:
    """All that is asked for; the folder is for the Runner's log."""
    cfg = launch.read_config(args.config, args.cfg_options)
    if args.amp:
        launch.enable_amp(cfg, args.amp)
    launch.check_amp(cfg)
    if cfg.optim_wrapper.get('type', 'OptimWrapper') == 'OptimWrapper':
        args.amp = None  # the CPU has no bfloat16
    cfg.model.pretrained = cfg.model.backbone.init_cfg = None
    device, loader = torch.device(get_device()), cfg.train_dataloader
    batch = loader.batch_size = args.batch or loader.batch_size
    datasets = loader.dataset.get('datasets', [loader.dataset])
    crops = [t for d in datasets for t in d.pipeline if 'crop_size' in t]
    for transform in crops if args.crop else ():
        transform.crop_size = (args.crop, args.crop)
    crop = crops[0].crop_size

    report = dict(
        settings=dict(
            config=os.path.basename(args.config),
            batch=batch,
            crop=f'{crop[0]} x {crop[1]}',
            precision=args.amp or 'float32',
            **describe_machine(device)))
    # what a Runner sets up for training: threads, cuDNN, seed
    cfg.launcher, cfg.work_dir, cfg.log_level = 'none', work_dir, 'ERROR'
    cfg.randomness = dict(seed=0)
    runner = launch.build_runner(cfg)
    if 'loader' in args.measure:
        workers = args.workers or [loader.get('num_workers', 0)]
        report['loader'] = measure_loader(loader, workers)
    if args.measure == ['loader']:
        return report

    model = runner.model
    model.init_weights()
    optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    report['million_parameters'] = {
        name: count / 1e6
        for name, part in model.named_children()
        if (count := sum(p.numel() for p in part.parameters()))
    }
    if hasattr(model, 'phase'):
        schedule = [model.phase(i) for i in range(cfg.train_cfg.max_iters)]
        asked = [p for p in PHASES if p in args.measure and p in schedule]
        images = random_batch(batch, crop, model.decode_head.num_classes - 1)
        report['training'] = phases = measure_training(model, optim_wrapper,
                                                       images, schedule, asked,
                                                       args.steps)
        if set(phases) == set(schedule):
            seconds = sum(phases[phase]['seconds'] for phase in schedule)
            report['schedule'] = dict(hours=seconds / 3600)
    if 'inference' in args.measure:
        report['inference'] = measure_inference(model, optim_wrapper, batch,
                                                crop)
    if 'par' in args.measure:
        refiner = getattr(getattr(model, 'labeler', None), 'refiner', None)
        report['par'] = measure_par(refiner or PAR(), crop, device)
    return report


def flatten(report: dict) -> Dict[str, float]:
    """{'par': {'seconds': 1}} -> {'par seconds': 1}."""
    flat = {}
    for key, value in report.items():
        inside = flatten(value) if isinstance(value, dict) else {'': value}
        flat.update({f'{key} {k}'.strip(): v for k, v in inside.items()})
    return flat


def table(columns: Dict[str, Dict[str, float]]) -> str:
    """A Markdown table; '-' where a column lacks what another one has."""
    rows = [['', *columns], ['---'] * (len(columns) + 1)]
    for key in dict.fromkeys(k for c in reversed(columns.values()) for k in c):
        values = [column.get(key) for column in columns.values()]
        rows.append([key] + [
            '-' if v is None else f'{v:.3g}' if v < 1000 else f'{v:,.0f}'
            for v in values
        ])
    widths = [max(map(len, cells)) for cells in zip(*rows)]
    return '\n'.join(f'| {" | ".join(map(str.ljust, row, widths))} |'
                     for row in rows)


def report_text(report: Dict[str, dict]) -> str:
    """A report in Markdown."""
    rest = dict(report)
    texts = [', '.join(f'{k} {v}' for k, v in rest.pop('settings').items())]
    phases = rest.pop('training', {})
    if phases:
        texts.append(table({k: flatten(v) for k, v in phases.items()}))
    return '\n\n'.join([*texts, table({'': flatten(rest)})])


def compare_text(before: Dict[str, dict], after: Dict[str, dict]) -> str:
    """What differs between two reports; a ratio above 1 is a gain."""
    old, new = flatten(before), flatten(after)
    lines, columns = [], dict(before={}, after={}, ratio={})
    for key in {**new, **old}:
        was, now = old.get(key), new.get(key)
        if was == now:
            continue
        if key.startswith('settings'):
            lines.append(f'{key[9:]}: {was} -> {now}')
            continue
        columns['before'][key], columns['after'][key] = was, now
        if was and now:
            gain = now / was if 'per_second' in key else was / now
            columns['ratio'][key] = gain
    return '\n'.join([*lines, '', table(columns)])


def read_report(path: str) -> Dict[str, dict]:
    """What --json wrote."""
    try:
        return json.loads(Path(path).read_text())
    except ValueError as error:
        raise ValueError(f'{path}: not a report that --json wrote') from error


def main(argv=None) -> None:
    """Measure, or compare."""
    args = parse_args(argv)
    try:
        if args.compare:
            print(compare_text(*map(read_report, args.compare)))
            return
        with TemporaryDirectory() as work_dir:
            report = measure(args, work_dir)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(report_text(report))
    if args.json:
        with replacing(args.json) as unfinished:
            unfinished.write_text(json.dumps(report, indent=2) + '\n')


if __name__ == '__main__':
    main()
