# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Check the data of a config before you train on them.

    python tools/analysis_tools/check_dataset.py CONFIG

decodes each image and reads each mask, as training and validation will, and
reports all problems at once. The exit status is 0 if the data can be trained
on, otherwise 1.

Only data sets with image-level labels are examined: WeakLabelDataset and the
data sets that derive from it.
"""
import argparse
import json
import os.path as osp
import shlex
import sys
from collections import Counter
from itertools import groupby
from statistics import median_low

EXAMPLES = 3  # of each kind of problem that are written out


def figures(split) -> dict:
    """Count the images, and return (min, median, max) of their sides."""
    heights, widths = [(min(sides), median_low(sides), max(sides))
                       for sides in zip(*split.sizes)] or (None, None)
    return dict(
        images=len(split.paths),
        usable=split.usable,
        heights=heights,
        widths=widths)


def by_frequency(splits: dict) -> dict:
    """Return how many images of each split show which class.

    The classes that most images of the first split show come first.
    """
    counts = [split.images_of for split in splits.values()]
    return {
        name: [of.get(name, 0) for of in counts]
        for name in sorted(counts[0], key=lambda name: -counts[0][name])
    }


def show_tables(splits: dict) -> None:
    """Print the figures and the numbers of findings."""
    from rich.console import Console
    from rich.table import Table

    table = Table('', *splits, title='Images')
    numbers = [figures(split) for split in splits.values()]
    for key, title in (('images', 'images'), ('usable',
                                              'without anything fatal')):
        table.add_row(title, *(f'{of[key]:,}' for of in numbers))
    for side in ('heights', 'widths'):
        table.add_row(
            f'{side}: min, median, max',
            *('{}, {}, {}'.format(*of[side] or '---') for of in numbers))
    counts = [
        Counter(finding.kind for finding in split.findings)
        for split in splits.values()
    ]
    fatal = {of.kind for split in splits.values() for of in split.fatal()}
    for kind in sorted(
            set().union(*counts), key=lambda x: (x not in fatal, x)):
        style = 'red' if kind in fatal else 'yellow'
        table.add_row(kind, *(f'{of[kind]:,}' for of in counts), style=style)
    Console().print(table)
    if any(split.usable for split in splits.values()):
        classes = Table('class', *splits, title='Images that show a class')
        for name, images in by_frequency(splits).items():
            classes.add_row(name, *(f'{count:,}' for count in images))
        Console().print(classes)


def show_examples(splits: dict) -> None:
    """Print the first findings of each kind."""
    for name, split in splits.items():
        for (kind, fatal), found in groupby(
                split.findings, lambda finding: (finding.kind, finding.fatal)):
            found = list(found)
            level = 'fatal' if fatal else 'warning'
            print(f'{name}: {level}: {kind}: {len(found):,}')
            for finding in found[:EXAMPLES]:
                print(f'  {finding.message}')
            if len(found) > EXAMPLES:
                print(f'  ... and {len(found) - EXAMPLES:,} more; --json '
                      'lists all.')


def plot(path: str, splits: dict) -> None:
    """Draw how many images show each class, as bars."""
    from matplotlib.figure import Figure

    from mmseg_afa.utils import UserError, replacing

    classes = by_frequency(splits)
    if not classes:
        raise UserError(f'{path}: there are no classes to plot.')
    rows = range(len(classes))
    figure = Figure((3 + 4 * len(splits), 1 + 0.2 * len(rows)),
                    layout='constrained')
    panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
    for axes, split, counts in zip(panels, splits, zip(*classes.values())):
        bars = axes.barh(rows, counts)
        axes.bar_label(bars, [f'{count:,}' for count in counts], padding=2)
        axes.set(title=f'{split}: images that show a class', xticks=[])
        axes.margins(x=0.2)  # for the numbers
    panels[0].set_ylim(len(rows) - 0.4, -0.6)  # the first class on top
    panels[0].set_yticks(rows, classes, parse_math=False)
    with replacing(path) as unfinished:
        figure.savefig(unfinished)
    print(f'{path}: written.')


def fix(name: str, split) -> str:
    """Write an image list without the broken images.

    Returns:
        str: The option to train with the list; '' if no list was written.
    """
    from mmseg_afa.datasets.label_file import write_image_list

    broken = {finding.name for finding in split.fatal()}
    names = [image for image in split.paths if image not in broken]
    if not names or len(split.fatal()) == len(split.fatal(fixed=True)):
        print(f'{name}: no shorter image list would help: none written.')
        return ''
    root, path = split.dataset.data_root or '', split.dataset.ann_file
    if not path or osp.isdir(path):
        path = osp.join(root, f'{name}.txt')
    path = '.fixed'.join(osp.splitext(path))
    write_image_list(path, names)
    print(f'{path}: written, {len(names):,} of {len(split.paths):,} images.')
    ann_file = osp.relpath(path, root or '.')
    return shlex.quote(f'{name}_dataloader.dataset.ann_file={ann_file}')


def conclude(splits: dict, fixed: bool) -> bool:
    """Print and return whether the data can be trained on.

    Args:
        splits (dict[str, Split]): The examined data sets.
        fixed (bool): Judge them with the lists that `fix` wrote.
    """
    what = 'With the fixed lists, the data' if fixed else 'The data'
    reasons, warnings = [], 0
    for name, split in splits.items():
        counts = Counter(finding.kind for finding in split.fatal(fixed))
        reasons += [f'{name}: {kind}: {counts[kind]:,}' for kind in counts]
        if not split.usable and not counts:
            reasons.append(f'{name}: no image is left')
        broken = {finding.name for finding in split.fatal()} - {''}
        warnings += sum(not finding.fatal and finding.name not in broken
                        for finding in split.findings)
    if reasons:
        print(f'{what} cannot be used to train: {"; ".join(reasons)}.')
    else:
        print(f'{what} can be used to train. Warnings: {warnings:,}.')
    return not reasons


def write_json(path: str, splits: dict, trainable: bool) -> None:
    """Write all figures and findings."""
    from mmseg_afa.utils import replacing

    contents = {
        name:
        dict(
            figures(split),
            classes=split.images_of,
            findings=[finding._asdict() for finding in split.findings])
        for name, split in splits.items()
    }
    text = json.dumps(
        dict(trainable=trainable, splits=contents),
        indent=2,
        ensure_ascii=False)
    with replacing(path) as unfinished:
        unfinished.write_text(text + '\n', encoding='utf-8')


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('--split',
        nargs='+',
        choices=('train', 'val', 'test'),
        default=('train', 'val'),
        help='data sets to examine (default: train val)')
    add('--workers', type=int, default=8, help='threads (default: 8)')
    add('--plot',
        metavar='FILE.png',
        help='draw how many images show each class')
    add('--json', metavar='FILE', help='write all figures and findings')
    add('--fix',
        action='store_true',
        help='write image lists without the broken images, beside the old '
        'ones; the exit status is then that of the new lists')
    add('--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='override settings of the config')
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> bool:
    """Check what the command line names; return whether it is fit to train."""
    from dataset_findings import check, open_splits

    from mmseg_afa.engine import launch
    from mmseg_afa.utils import UserError

    cfg = launch.read_config(args.config, args.cfg_options)
    opened = open_splits(cfg)
    splits = {name: opened[name] for name in args.split if name in opened}
    for name in args.split:
        if name not in splits:
            found = (cfg.get(f'{name}_dataloader') or {}).get('dataset')
            found = f'a {found.type}' if found else 'not in the config'
            print(f'{name}: skipped: {found}. Only data sets with image-level '
                  'labels are examined.')
    if not splits:
        raise UserError(f'{args.config}: nothing to check. '
                        f'{" or ".join(args.split)} is not a data set with '
                        'image-level labels, such as WeakLabelDataset.')
    check(opened, list(splits), args.workers)
    show_tables(splits)
    show_examples(splits)
    if args.plot:
        plot(args.plot, splits)
    if args.fix:
        options = ' '.join(filter(None, map(fix, splits, splits.values())))
        if options:
            print(f'Train with --cfg-options {options}')
    trainable = conclude(splits, args.fix)
    if args.json:
        write_json(args.json, splits, trainable)
    return trainable


def main(argv=None) -> int:
    """Return 0 if the data can be trained on, otherwise 1."""
    args = parse_args(argv)
    from mmseg_afa.utils import UserError
    try:
        return 0 if run(args) else 1
    except UserError as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    sys.exit(main())
