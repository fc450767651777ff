# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw training images with the CAM labels of several background scores.

Where there are validation masks or trusted masks, the labels are also scored.
"""
import argparse


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', help='checkpoint file')
    add('--pairs',
        nargs='+',
        type=lambda text: tuple(map(float, text.split(','))),
        metavar='HIGH,LOW',
        help='background scores (default: four pairs)')
    add('--out',
        default='background_scores.png',
        help='picture to write, .png or .jpg (default: %(default)s)')
    add('--num', type=int, default=12, help='number of images')
    add('--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='override settings of the config')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Draw the sheet."""
    args = parse_args(argv)
    from mmseg.registry import DATASETS

    from mmseg_afa.engine import background_scores, launch
    from mmseg_afa.utils import UserError, check_least, exit_on_user_error
    with exit_on_user_error():
        check_least(vars(args), num=1)
        pairs = args.pairs or background_scores.PAIRS
        if not all(len(p) == 2 and 0 <= p[1] <= p[0] <= 1 for p in pairs):
            raise UserError(f'--pairs: found {pairs}, expected pairs HIGH,LOW '
                            'with 0 <= LOW <= HIGH <= 1.')
        cfg = launch.read_config(args.config, args.cfg_options)
        with launch.loaded_runner(cfg, args.checkpoint) as runner:
            train, val = (
                loader and DATASETS.build(loader.dataset)
                for loader in (cfg.train_dataloader, cfg.val_dataloader))
            background_scores.compare_background_scores(
                runner.model, train, val, args.out, pairs, args.num)


if __name__ == '__main__':
    main()
