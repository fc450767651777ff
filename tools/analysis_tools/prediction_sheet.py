# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw what a checkpoint makes of validation images, from CAM to mask.

The CAMs and the pseudo label are given the true image labels, as in training.
With --worst, of the images whose segmentation scores lowest.
"""
import argparse
import sys
from typing import Sequence

import mmcv
import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.structures import SegDataSample

from mmseg_afa.engine import launch
from mmseg_afa.models import AFA, PresentClasses
from mmseg_afa.models.segmentors.prediction import EXTRA_OUTPUTS
from mmseg_afa.utils import IGNORE_INDEX, progress
from mmseg_afa.visualization import WeakSegLocalVisualizer, save_picture


@torch.no_grad()
def predict(model: AFA, data: dict) -> SegDataSample:
    """Predict an image of a validation set, and make a pseudo label of it, of
    the size of the network's input."""
    batch = pseudo_collate([data])
    sample, = model.test_step(batch)
    inputs = model.data_preprocessor(batch, False)['inputs']
    height, width = data['inputs'].shape[1:]  # the rest is padding
    pseudo = model.pseudo_labels(
        inputs,
        PresentClasses.from_image_label(sample.image_label[None].to(inputs)),
        boxes=torch.tensor([[0, height, 0, width]], device=inputs.device),
        phase=model.phase(sys.maxsize)).seg  # of the end of training
    sample.pseudo_sem_seg = PixelData(data=pseudo[:, :height, :width])
    return sample


def image_iou(sample: SegDataSample, num_classes: int) -> float:
    """Mean IoU in 0..1 of the classes that the mask or the prediction of an
    image shows."""
    label = sample.gt_sem_seg.data.squeeze(0)
    hits, union, _, _ = IoUMetric.intersect_and_union(
        sample.pred_sem_seg.data.squeeze(0).to(label), label, num_classes,
        IGNORE_INDEX)
    return (hits / union)[union > 0].mean().item()


def worst(model: AFA, dataset: BaseDataset, num: int) -> Sequence[int]:
    """The images whose segmentation scores lowest, the lowest first."""
    model.eval()
    full, scores = model.test_cfg, []
    model.test_cfg = ConfigDict(full, **dict.fromkeys(EXTRA_OUTPUTS, False))
    for i in progress(range(len(dataset)), 'Scoring'):
        with torch.no_grad():
            sample, = model.test_step(pseudo_collate([dataset[i]]))
        scores.append(image_iou(sample, len(dataset.metainfo['classes'])))
    model.test_cfg = full
    return np.argsort(scores)[:num]  # an image without a known pixel is last


def spread(dataset: BaseDataset, num: int) -> Sequence[int]:
    """A number of images, spread evenly over the data set."""
    return np.linspace(
        0, len(dataset), min(num, len(dataset)), endpoint=False, dtype=int)


def prediction_sheet(model: AFA, dataset: BaseDataset,
                     images: Sequence[int]) -> np.ndarray:
    """Draw image, CAM, affinity CAM, pseudo label, prediction and truth of
    some images, by their numbers in the data set."""
    visualizer = WeakSegLocalVisualizer(alpha=0.65)
    visualizer.dataset_meta = dataset.metainfo
    model.eval()
    rows, captions = [], []
    for i in images:
        data = dataset[i]
        sample = predict(model, data)
        # at the size of the predictions
        image = mmcv.imresize(
            mmcv.bgr2rgb(data['inputs'].permute(1, 2, 0).numpy()),
            sample.ori_shape[::-1])
        rows.append(visualizer.draw_stages(image, sample))
        captions.append(visualizer.caption(sample))
    return visualizer.draw_sheet(rows, captions)


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='the config file')
    parser.add_argument('checkpoint', help='the checkpoint file')
    parser.add_argument(
        '--out',
        default='prediction_sheet.png',
        help='picture to write, .png or .jpg (default: %(default)s)')
    parser.add_argument('--num', type=int, default=8, help='number of images')
    parser.add_argument(
        '--worst',
        action='store_true',
        help='those whose segmentation scores lowest, in place of some that '
        'are spread over the data set')
    launch.add_arguments(parser)
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Draw the sheet."""
    args = parse_args(argv)
    cfg = launch.load_config(args)
    launch.check_checkpoint(args.checkpoint)
    try:
        runner = launch.build_runner(cfg)
        runner.load_checkpoint(args.checkpoint)
        dataset = runner.build_dataloader(cfg.val_dataloader).dataset
        images = (
            worst(runner.model, dataset, args.num) if args.worst else spread(
                dataset, args.num))
        save_picture(args.out, prediction_sheet(runner.model, dataset, images))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(args.out)


if __name__ == '__main__':
    main()
