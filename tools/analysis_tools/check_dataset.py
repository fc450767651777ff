# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Check the data of a config before you train on them.

    python tools/analysis_tools/check_dataset.py CONFIG

decodes each image and reads each mask, as training and validation will, and
reports all that is wrong at once. The exit status is 0 if the data can be
trained on, and 1 if not.

Data sets with image-level labels are examined: WeakLabelDataset and those
made from it. Others are skipped, which is said.
"""
import argparse
import json
import os.path as osp
import shlex
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Dict, Optional, Sequence

from mmengine.config import Config
from mmseg.registry import DATASETS
from rich.console import Console
from rich.table import Table

from mmseg_afa import launch
from mmseg_afa.datasets import WeakLabelDataset
from mmseg_afa.datasets.check import (KINDS, Report, Split, add_overlap,
                                      examine, fold, min_median_max,
                                      open_split)
from mmseg_afa.utils import add_workers, parallel_map, replacing
from mmseg_afa.visualization import plot_classes

EXAMPLES = 3  # of each kind of problem that are written out


def open_splits(cfg: Config, names: Sequence[str]) -> Dict[str, Split]:
    """Open the data sets of a config that have image-level labels.

    Args:
        cfg (Config): The config.
        names (Sequence[str]): Of 'train', 'val' and 'test'.

    Raises:
        ValueError: If there are none.
    """
    splits = {}
    for name in names:
        dataset = (cfg.get(f'{name}_dataloader') or {}).get('dataset')
        kind = dataset and dataset.get('type')
        cls = DATASETS.get(kind) if isinstance(kind, str) else kind
        if isinstance(cls, type) and issubclass(cls, WeakLabelDataset):
            splits[name] = open_split(dataset)
        else:
            found = f'a {kind}' if kind else 'not in the config'
            print(f'{name}: skipped: {found}. Only data sets with '
                  'image-level labels are examined.')
    if not splits:
        raise ValueError(f'{cfg.filename}: no data set with image-level '
                         'labels, such as WeakLabelDataset, in '
                         f'{" or ".join(names)}: nothing to check.')
    return splits


def check(splits: Dict[str, Split], workers: int) -> Dict[str, Report]:
    """Examine all images.

    Args:
        splits (dict[str, Split]): The data sets.
        workers (int): Number of processes.
    """
    reports = {}
    for name, split in splits.items():
        records = parallel_map(
            partial(examine, rules=split.rules),
            split.images(),
            workers,
            total=len(split.paths),
            description=f'Examining {name}')
        reports[name] = fold(records, split.rules.classes, split.findings,
                             name == 'train')
    if 'train' in splits:
        for name in set(splits) - {'train'}:
            add_overlap(splits['train'], splits[name], reports[name])
    return reports


def show(reports: Dict[str, Report]) -> None:
    """Print tables of the figures, and examples of what is wrong."""
    console = Console()
    table = Table(title='Images')
    table.add_column()
    for name in reports:
        table.add_column(name, justify='right')

    def add_row(title, cells):
        table.add_row(title, *cells)

    add_row('images', [f'{report.images:,}' for report in reports.values()])
    add_row('without anything fatal',
            [f'{report.usable:,}' for report in reports.values()])
    for side in ('heights', 'widths'):
        add_row(f'{side}: min, median, max', [
            '{}, {}, {}'.format(*min_median_max(getattr(report, side)))
            if report.heights else '-' for report in reports.values()
        ])
    for kind in KINDS:
        found = [report.of_kind(kind) for report in reports.values()]
        if any(found):
            fatal = any(finding.fatal for of in found for finding in of)
            table.add_row(
                kind,
                *(f'{len(of):,}' for of in found),
                style='red' if fatal else 'yellow')
    console.print(table)

    table = Table(title='Images that show a class')
    table.add_column('class')
    for name in reports:
        table.add_column(name, justify='right')
    first = next(iter(reports.values())).classes
    for name in sorted(first, key=lambda name: -first[name]):
        add_row(name, [
            f'{report.classes.get(name, 0):,}' for report in reports.values()
        ])
    if any(report.usable for report in reports.values()):
        console.print(table)

    for name, report in reports.items():
        for kind in KINDS:
            found = report.of_kind(kind)
            if found:
                level = 'fatal' if found[0].fatal else 'warning'
                print(f'{name}: {level}: {kind}: {len(found):,}')
                for finding in found[:EXAMPLES]:
                    print(f'  {finding.message}')
                if len(found) > EXAMPLES:
                    print(f'  ... and {len(found) - EXAMPLES:,} more; '
                          '--json lists all.')


def fixed_list(split: Split, name: str) -> str:
    """Where the list without broken images goes."""
    dataset = split.dataset
    if dataset.ann_file and not osp.isdir(dataset.ann_file):
        stem, suffix = osp.splitext(dataset.ann_file)
        return f'{stem}.fixed{suffix}'
    return osp.join(dataset.data_root or '', f'{name}.fixed.txt')


def fix(splits: Dict[str, Split], reports: Dict[str, Report]) -> None:
    """Write image lists without what is broken, and say how to use them."""
    options = []
    for name, report in reports.items():
        split, broken = splits[name], report.broken()
        if len(report.fatal()) == len(report.unfixable()):
            print(f'{name}: a shorter image list would mend nothing: none '
                  'written.')
            continue
        names = [image for image in split.paths if image not in broken]
        if not names:
            print(f'{name}: no image is left: no list written.')
            continue
        path = fixed_list(split, name)
        with replacing(path) as unfinished:
            unfinished.write_bytes(''.join(f'{image}\n'
                                           for image in names).encode())
        print(f'{path}: written, {len(names):,} of {len(split.paths):,} '
              'images.')
        ann_file = osp.relpath(path, split.dataset.data_root or '.')
        options.append(
            shlex.quote(f'{name}_dataloader.dataset.ann_file={ann_file}'))
    if options:
        print(f'Train with --cfg-options {" ".join(options)}')


def conclude(reports: Dict[str, Report], fixed: bool) -> bool:
    """Say in words whether the data can be trained on.

    Args:
        reports (dict[str, Report]): What was found.
        fixed (bool): Whether it is about the lists that `fix` wrote.
    """
    what = 'With the fixed lists, the data' if fixed else 'The data'
    reasons, warnings = [], 0
    for name, report in reports.items():
        left = report.unfixable() if fixed else report.fatal()
        counts = Counter(finding.kind for finding in left)
        reasons += [
            f'{name}: {kind}: {counts[kind]:,}' for kind in KINDS
            if kind in counts
        ]
        if not report.usable and not counts:
            reasons.append(f'{name}: no image is left')
        left_out = report.broken() if fixed else set()
        warnings += sum(not finding.fatal and finding.name not in left_out
                        for finding in report.findings)
    if reasons:
        print(f'{what} cannot be used to train: {"; ".join(reasons)}.')
    else:
        print(f'{what} can be used to train. Warnings: {warnings:,}.')
    return not reasons


def write_json(path: str, reports: Dict[str, Report], trainable: bool) -> None:
    """Write down all figures and findings."""
    content = dict(trainable=trainable, splits={})
    for name, report in reports.items():
        content['splits'][name] = dict(
            images=report.images,
            usable=report.usable,
            heights=min_median_max(report.heights) if report.heights else None,
            widths=min_median_max(report.widths) if report.widths else None,
            classes=report.classes,
            findings=[finding._asdict() for finding in report.findings])
    with replacing(path) as unfinished:
        unfinished.write_text(
            json.dumps(content, indent=2, ensure_ascii=False) + '\n',
            encoding='utf-8')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='the config file')
    parser.add_argument(
        '--split',
        nargs='+',
        choices=('train', 'val', 'test'),
        default=('train', 'val'),
        help='which data sets to examine (default: train val)')
    add_workers(parser)
    parser.add_argument(
        '--plot',
        type=Path,
        metavar='FILE.png',
        help='draw how many images show each class')
    parser.add_argument(
        '--json', metavar='FILE', help='write all figures and findings')
    parser.add_argument(
        '--fix',
        action='store_true',
        help='write image lists without the broken images, beside the old '
        'ones; the exit status is then that of these lists')
    launch.add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Check what the command line names.

    Returns:
        int: 0 if it can be trained on, otherwise 1.
    """
    args = parse_args(argv)
    try:
        cfg = launch.read_config(args.config, args.cfg_options)
        splits = open_splits(cfg, tuple(dict.fromkeys(args.split)))
        reports = check(splits, args.workers)
        show(reports)
        if args.plot:
            plot_classes(args.plot, {
                name: report.classes
                for name, report in reports.items()
            })
            print(f'{args.plot}: written.')
        if args.fix:
            fix(splits, reports)
        trainable = conclude(reports, args.fix)
        if args.json:
            write_json(args.json, reports, trainable)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    return 0 if trainable else 1


if __name__ == '__main__':
    sys.exit(main())
