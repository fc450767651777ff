# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw what the network sees: augmented samples, boxes, tags and masks."""
import argparse

GREEN = (0, 200, 0)


def draw_view(visualizer, sample: dict):
    """Draw a crop with its mask; outline the part that shows image."""
    import cv2
    import mmcv

    view = mmcv.bgr2rgb(sample['inputs'].permute(1, 2, 0).numpy())
    height, width = view.shape[:2]
    data_sample = sample['data_samples']
    if 'gt_sem_seg' in data_sample:
        view = visualizer.draw_label(view, data_sample.gt_sem_seg.data[0])
    top, bottom, left, right = data_sample.get('img_box',
                                               (0, height, 0, width))
    thickness = max(1, min(height, width) // 100)
    return cv2.rectangle(view, (left, top), (right - 1, bottom - 1), GREEN,
                         thickness)


def dataset_sheet(dataset, num: int, views: int):
    """Draw `num` images of a data set, each with `views` augmented views."""
    import mmcv
    import numpy as np

    from mmseg_afa.visualization import WeakSegLocalVisualizer

    visualizer = WeakSegLocalVisualizer(alpha=0.65)
    visualizer.dataset_meta = dataset.metainfo
    load = dataset.pipeline.transforms[0]
    rows, captions = [], []
    num = min(num, len(dataset))  # spread evenly over the data set
    for i in np.linspace(0, len(dataset), num, endpoint=False, dtype=int):
        row = dict(image=mmcv.bgr2rgb(load(dataset.get_data_info(i))['img']))
        for view in range(views):
            sample = dataset[i]
            row[f'seen {view + 1}'] = draw_view(visualizer, sample)
        rows.append(row)
        captions.append(visualizer.caption(sample['data_samples']))
    masks = 'gt_sem_seg' in sample['data_samples']
    return visualizer.draw_sheet(rows, captions, legend=masks)


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config file')
    add('--split',
        choices=('train', 'val', 'test'),
        default='train',
        help='data set of the config (default: train)')
    add('--out',
        default='browse_dataset.png',
        help='picture to write, .png or .jpg (default: %(default)s)')
    add('--num', type=int, default=6, help='number of images')
    add('--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='override settings of the config')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Draw the sheet."""
    args = parse_args(argv)
    from mmengine.registry import init_default_scope
    from mmengine.runner import set_random_seed
    from mmseg.registry import DATASETS

    from mmseg_afa.engine import launch
    from mmseg_afa.utils import UserError, check_least, exit_on_user_error
    from mmseg_afa.visualization import save_picture
    with exit_on_user_error():
        check_least(vars(args), num=1)
        cfg = launch.read_config(args.config, args.cfg_options)
        init_default_scope('mmseg')
        set_random_seed(0)
        dataloader = cfg.get(f'{args.split}_dataloader')
        if dataloader is None:
            raise UserError(f'{args.config}: has no {args.split}_dataloader. '
                            'Choose another --split.')
        dataset = DATASETS.build(dataloader.dataset)
        views = 1 if dataset.test_mode else 3  # without, with augmentation
        save_picture(args.out, dataset_sheet(dataset, args.num, views))
    print(args.out)


if __name__ == '__main__':
    main()
