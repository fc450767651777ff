# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw what a checkpoint predicts for validation images, from CAM to mask.

The CAMs and the pseudo label use the true image labels, as in training.
"""
import argparse


def predict(model, data: dict):
    """Predict an image, its CAM and the pseudo label of the last phase."""
    import torch
    from mmengine.dataset import pseudo_collate
    from mmengine.structures import PixelData

    from mmseg_afa.models.segmentors.maps import photo_maps

    sources = ('affinity_cam', 'refined_label')
    if sources[0] not in model.sources:
        sources = ('cam_label', )
    with torch.no_grad():
        sample, = model.test_step(pseudo_collate([data]))
        batch = model.data_preprocessor(pseudo_collate([data]), False)
        *_, ((maps, ), ) = photo_maps(model, batch['inputs'],
                                      batch['data_samples'],
                                      [(sources, [sample.image_label])])
    if 'affinity_cam' in maps:
        sample.affinity_cam = PixelData(data=maps['affinity_cam'].scores[0])
    label, _ = maps[sources[-1]].resize_and_argmax(sample.ori_shape)
    sample.set_field(PixelData(data=label), sources[-1])
    return sample


def image_iou(sample, num_classes: int) -> float:
    """Compute the mean IoU of the classes of mask and prediction, or NaN."""
    from mmseg.evaluation import IoUMetric

    from mmseg_afa.utils import IGNORE_INDEX

    label = sample.gt_sem_seg.data.squeeze(0)
    hits, union, _, _ = IoUMetric.intersect_and_union(
        sample.pred_sem_seg.data.squeeze(0).to(label), label, num_classes,
        IGNORE_INDEX)
    return (hits / union)[union > 0].mean().item()


def find_worst(model, dataset, num: int):
    """Find the images whose segmentation scores lowest, the lowest first."""
    import numpy as np
    import torch
    from mmengine.config import ConfigDict
    from mmengine.dataset import pseudo_collate

    from mmseg_afa.utils import progress

    full, scores = model.test_cfg, []
    model.test_cfg = ConfigDict(full, sources=('seg', ))
    for i in progress(range(len(dataset)), 'Scoring'):
        with torch.no_grad():
            sample, = model.test_step(pseudo_collate([dataset[i]]))
        scores.append(image_iou(sample, len(dataset.metainfo['classes'])))
    model.test_cfg = full
    return np.argsort(scores)[:num]  # NaN comes last


def prediction_sheet(model, dataset, images):
    """Draw a row, from CAM to mask, for each of some images (indices)."""
    import mmcv

    from mmseg_afa.visualization import WeakSegLocalVisualizer

    visualizer = WeakSegLocalVisualizer(alpha=0.65)
    visualizer.dataset_meta = dataset.metainfo
    rows, captions = [], []
    for i in images:
        data = dataset[i]
        sample = predict(model, data)
        image = mmcv.bgr2rgb(data['inputs'].permute(1, 2, 0).numpy())
        # Predictions have the original size.
        image = mmcv.imresize(image, sample.ori_shape[::-1])
        rows.append(visualizer.draw_stages(image, sample))
        captions.append(visualizer.caption(sample))
    return visualizer.draw_sheet(rows, captions)


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', help='checkpoint file')
    add('--out',
        default='prediction_sheet.png',
        help='picture to write, .png or .jpg (default: %(default)s)')
    add('--num', type=int, default=8, help='number of images')
    add('--worst',
        action='store_true',
        help='draw the images whose segmentation scores lowest (default: '
        'images that are spread over the data set)')
    add('--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='override settings of the config')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Draw the sheet."""
    args = parse_args(argv)
    import numpy as np

    from mmseg_afa.engine import launch
    from mmseg_afa.utils import check_least, exit_on_user_error
    from mmseg_afa.visualization import save_picture
    with exit_on_user_error():
        check_least(vars(args), num=1)
        cfg = launch.read_config(args.config, args.cfg_options)
        launch.check_loader(cfg, 'val_dataloader')
        with launch.loaded_runner(cfg, args.checkpoint) as runner:
            dataset = runner.build_dataloader(cfg.val_dataloader).dataset
            model = runner.model.eval()
            if args.worst:
                images = find_worst(model, dataset, args.num)
            else:
                num = min(args.num, len(dataset))
                images = np.linspace(
                    0, len(dataset), num, endpoint=False, dtype=int)
            sheet = prediction_sheet(model, dataset, images)
        save_picture(args.out, sheet)
    print(args.out)


if __name__ == '__main__':
    main()
