# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw what the network sees: augmented samples, boxes, tags and masks."""
import argparse

from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from mmseg.registry import DATASETS

import mmseg_afa  # noqa: F401, registers the data sets
from mmseg_afa import launch
from mmseg_afa.apis import spread, training_sheet
from mmseg_afa.utils import positive
from mmseg_afa.visualization import save_picture


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config file')
    parser.add_argument(
        '--split',
        choices=('train', 'val', 'test'),
        default='train',
        help='which data set of the config (default: train)')
    parser.add_argument(
        '--out',
        default='training_sheet.png',
        help='picture to write, .png or .jpg (default: %(default)s)')
    parser.add_argument(
        '--num', type=positive, default=6, help='number of images')
    parser.add_argument(
        '--views',
        type=positive,
        help='how often to draw each (default: 3, and 1 without augmentation)')
    parser.add_argument('--seed', type=int, default=0, help='random seed')
    launch.add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Draw the sheet."""
    args = parse_args(argv)
    cfg = launch.read_config(args.config, args.cfg_options)
    init_default_scope('mmseg')
    set_random_seed(args.seed)
    dataloader = cfg.get(f'{args.split}_dataloader')
    if dataloader is None:
        raise SystemExit(f'{args.config}: has no {args.split}_dataloader: '
                         'choose another --split.')
    try:
        dataset = DATASETS.build(dataloader.dataset)
        sheet = training_sheet(dataset, spread(len(dataset), args.num),
                               args.views or (1 if dataset.test_mode else 3))
        save_picture(args.out, sheet)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(args.out)


if __name__ == '__main__':
    main()
