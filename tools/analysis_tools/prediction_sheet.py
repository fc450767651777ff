# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw what a checkpoint makes of validation images, from CAM to mask."""
import argparse

from mmengine.runner import Runner

from mmseg_afa import launch
from mmseg_afa.apis import prediction_sheet, spread
from mmseg_afa.visualization import save_picture


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config file')
    parser.add_argument('checkpoint', help='the checkpoint file')
    parser.add_argument(
        '--out',
        default='prediction_sheet.png',
        help='picture to write, .png or .jpg')
    parser.add_argument('--num', type=int, default=8, help='number of images')
    parser.add_argument(
        '--max-bytes', type=int, help='largest size of the picture file')
    launch.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = launch.load_config(args)
    launch.check_checkpoint(args.checkpoint)
    runner = Runner.from_cfg(cfg)
    runner.load_checkpoint(args.checkpoint)
    dataset = runner.build_dataloader(cfg.val_dataloader).dataset
    sheet = prediction_sheet(runner.model, dataset,
                             spread(len(dataset), args.num))
    save_picture(args.out, sheet, args.max_bytes)
    print(args.out)


if __name__ == '__main__':
    main()
