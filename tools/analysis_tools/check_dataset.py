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
import os.path as osp
import shlex
import sys
from itertools import groupby

EXAMPLES = 3  # of each kind of problem that are written out


def show_classes(splits: dict) -> None:
    """Print how many images of each data set show which class."""
    from rich.console import Console
    from rich.table import Table

    table = Table('', *splits, title='Images')
    table.add_row('all', *(f'{len(s.paths):,}' for s in splits.values()))
    for name in next(iter(splits.values())).images_of:
        counts = [split.images_of.get(name, 0) for split in splits.values()]
        table.add_row(name, *(f'{count:,}' for count in counts))
    Console().print(table)


def show_findings(name: str, split, examples) -> None:
    """Print the first findings of each kind; all if `examples` is None."""
    for (kind, fatal), found in groupby(
            split.findings, lambda finding: (finding.kind, finding.fatal)):
        found = list(found)
        level = 'fatal' if fatal else 'warning'
        print(f'{name}: {level}: {kind}: {len(found):,}')
        for finding in found[:examples]:
            print(f'  {finding.message}')
        if examples and len(found) > examples:
            print(f'  ... and {len(found) - examples:,} more; --all lists '
                  'them.')


def fix(name: str, split) -> None:
    """Write an image list without the broken images."""
    from mmseg_afa.datasets.label_file import write_image_list

    names = split.usable()
    if not names or not any(finding.fatal for finding in split.findings):
        print(f'{name}: no shorter image list would help: none written.')
        return
    root, path = split.dataset.data_root or '', split.dataset.ann_file
    if not path or osp.isdir(path):
        path = osp.join(root, f'{name}.txt')
    path = '.fixed'.join(osp.splitext(path))
    write_image_list(path, names)
    ann_file = osp.relpath(path, root or '.')
    option = shlex.quote(f'{name}_dataloader.dataset.ann_file={ann_file}')
    print(f'{path}: written, {len(names):,} of {len(split.paths):,} images. '
          f'Train with --cfg-options {option}')


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('--all',
        action='store_true',
        help=f'list all problems, not the first {EXAMPLES} of each kind')
    add('--fix',
        action='store_true',
        help='write image lists without the broken images, beside the old '
        'ones')
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

    splits = open_splits(launch.read_config(args.config, args.cfg_options))
    if not splits:
        raise UserError(f'{args.config}: nothing to check. It has no data set '
                        'with image-level labels, such as WeakLabelDataset.')
    check(splits)
    show_classes(splits)
    for name, split in splits.items():
        show_findings(name, split, None if args.all else EXAMPLES)
    if args.fix:
        for name, split in splits.items():
            fix(name, split)
    levels = [f.fatal for split in splits.values() for f in split.findings]
    fatal = sum(levels)
    print(f'The data {"cannot" if fatal else "can"} be used to train. Fatal '
          f'problems: {fatal:,}. Warnings: {len(levels) - fatal:,}.')
    return not fatal


def main(argv=None) -> int:
    """Return 0 if the data can be trained on, otherwise 1."""
    args = parse_args(argv)
    from mmseg_afa.utils import exit_on_user_error
    with exit_on_user_error():
        return 0 if run(args) else 1


if __name__ == '__main__':
    sys.exit(main())
