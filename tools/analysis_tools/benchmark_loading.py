# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Time how fast a config's training images are loaded and augmented."""
import argparse
import cProfile
import json
import pstats

from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

import mmseg_afa
from mmseg_afa import launch
from mmseg_afa.benchmark.loading import benchmark_loader, benchmark_pipeline
from mmseg_afa.benchmark.report import markdown
from mmseg_afa.utils import positive, replacing


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config file')
    parser.add_argument(
        '--num',
        type=positive,
        default=500,
        help='number of images (default: %(default)s)')
    parser.add_argument(
        '--workers',
        type=int,
        nargs='*',
        default=[],
        help='also time the data loader with so many processes')
    parser.add_argument(
        '--profile',
        type=positive,
        metavar='LINES',
        help='also print the functions that take most of the time')
    parser.add_argument('--out', help='JSON file to write')
    launch.add_arguments(parser)
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Measure, and print tables."""
    args = parse_args(argv)
    cfg = launch.load_config(args)
    mmseg_afa.compat.prepare_for_cpu(cfg)
    init_default_scope('mmseg')
    try:
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    found = benchmark_pipeline(dataset, args.num)
    total = sum(found['parts'].values())
    print(f'{found["images_per_second"]:.0f} images/s on one core\n')
    print(
        markdown(('transform', 'ms an image', '%'),
                 [(name, 1000 * seconds, 100 * seconds / total)
                  for name, seconds in found['parts'].items()]))
    found['workers'] = {
        workers: benchmark_loader(cfg.train_dataloader, args.num, workers)
        for workers in args.workers
    }
    if args.workers:
        print('\n' +
              markdown(('workers', 'images/s'), found['workers'].items()))
    if args.profile:
        profiler = cProfile.Profile()
        benchmark_pipeline(dataset, args.num, profiler.runcall)
        stats = pstats.Stats(profiler).strip_dirs().sort_stats('tottime')
        stats.print_stats(args.profile)
    if args.out:
        with replacing(args.out) as unfinished:
            unfinished.write_text(json.dumps(found, indent=2) + '\n')


if __name__ == '__main__':
    main()
