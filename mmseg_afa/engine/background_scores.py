# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Compare the CAM labels of several background scores, by eye and by masks."""
from copy import copy
from typing import List, Optional, Sequence, Sized, Tuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from torch.nn.functional import interpolate

from ..evaluation.metrics.weak_iou_metric import confusion
from ..models import AFA, PresentClasses
from ..models.utils import evaluating, stack_boxes, stack_image_labels
from ..utils import IGNORE_INDEX, isolated_rng
from ..visualization import WeakSegLocalVisualizer, save_picture

# (high, low)
PAIRS = ((0.45, 0.25), (0.55, 0.35), (0.65, 0.45), (0.75, 0.55))
MOST_MASKS = 100  # that labels are compared with


def spread(indices: Sequence[int], num: int) -> List[int]:
    """Choose at most `num` indices at equal distances."""
    places = np.linspace(0, len(indices), min(num, len(indices)), False)
    return [indices[int(i)] for i in places]


def choose_images(labels: np.ndarray, num: int) -> List[int]:
    """Choose images by their image labels (N, C).

    Each class gets an image while there is room, the rarest class first. The
    others are spread evenly over the images with tags.
    """
    chosen = []
    for shown in sorted(labels.T, key=sum):
        if len(chosen) < num and shown.any() and not shown[chosen].any():
            chosen.append(shown.argmax())
    others = np.setdiff1d(np.flatnonzero(labels.any(1)), chosen)
    return sorted(chosen + spread(others, num - len(chosen)))


@torch.no_grad()
def make_labels(model: AFA, data: dict, pairs: Sequence) -> tuple:
    """Make the labels of a sample as in training, for pairs of scores.

    Returns:
        tuple: The sample, its image (H, W, 3) RGB uint8, the CAM (K, H, W),
        and the labels (P, H, W).
    """
    data = model.data_preprocessor(pseudo_collate([data]))
    inputs, samples = data['inputs'], data['data_samples']
    classes = PresentClasses.from_image_label(
        stack_image_labels(samples, model.decode_head.num_classes - 1))
    boxes, image = stack_boxes(samples, inputs), model.images(inputs)
    cam, _, _ = model.train_cam(inputs, classes, with_affinity=False)
    labeler, labels = copy(model.labeler), []
    for labeler.bkg_high, labeler.bkg_low in pairs:
        labels.append(labeler.cam_label(cam, classes, boxes, image))
    image = (255 * image[0]).round().byte().permute(1, 2, 0).cpu().numpy()
    return samples[0], image, cam[0], torch.cat(labels)


def score_pairs(model: AFA, samples: Sequence[dict],
                pairs: Sequence) -> List[float]:
    """Compute the mIoU of the labels where they are not ignored, in %."""
    totals = 0
    for data in samples:
        sample, _, _, labels = make_labels(model, data, pairs)
        truth = sample.gt_sem_seg.data[0]
        known = truth != IGNORE_INDEX
        labels = interpolate(labels[None].float(), truth.shape)[0][:, known]
        truth = truth[known].long()
        totals += torch.stack(
            [confusion(x, truth, model.num_classes) for x in labels])
    counted = totals[..., :-1].double()
    hits = counted.diagonal(dim1=1, dim2=2)
    iou = 100 * hits / (counted.sum(1) + counted.sum(2) - hits)
    return iou.nanmean(1).tolist()


def find_masks(train: Sized, val: Optional[Sized]) -> Tuple[Sized, List[int]]:
    """Find images of the validation, or else trusted ones, and their data."""
    first = val[0]['data_samples'] if val else ()
    if 'gt_sem_seg' in first and 'image_label' in first:
        return val, spread(range(len(val)), MOST_MASKS)
    trusted = [
        i for i in range(len(train)) if train.get_data_info(i).get('trusted')
    ]
    return train, spread(trusted, MOST_MASKS)


def compare_background_scores(model: AFA,
                              train: Sized,
                              val: Optional[Sized],
                              path: str,
                              pairs: Sequence = PAIRS,
                              num: int = 12) -> None:
    """Draw labels of `num` training images; score labels where masks exist.

    The pair in use is added to `pairs`. Modes and random states stay.
    """
    own = model.labeler.bkg_high, model.labeler.bkg_low
    pairs = sorted({*map(tuple, pairs), own})
    names = ['{:g}, {:g}'.format(*p) + ' (in use)' * (p == own) for p in pairs]
    visualizer = WeakSegLocalVisualizer(alpha=0.65)
    visualizer.dataset_meta = train.metainfo
    tags = [train.get_data_info(i)['image_label'] for i in range(len(train))]
    rows, captions, scores = [], [], []
    with isolated_rng(0), evaluating(model):
        for i in choose_images(np.stack(tags), num):
            sample, image, cam, labels = make_labels(model, train[i], pairs)
            drawn = [visualizer.draw_label(image, label) for label in labels]
            heat = visualizer.draw_heatmap(image, cam.amax(0))
            rows.append(dict(image=image, CAM=heat, **dict(zip(names, drawn))))
            captions.append(visualizer.caption(sample))
        dataset, indices = find_masks(train, val)
        if indices:
            scores = score_pairs(model, (dataset[i] for i in indices), pairs)
    save_picture(path, visualizer.draw_sheet(rows, captions))
    text = (f'{path}: labels of pairs of background scores (high, low). '
            'Choose the pair that covers the objects and little else.')
    if scores:
        listed = '; '.join(map('{}: {:.2f}'.format, names, scores))
        text += (f' mIoU in % where not ignored, of {len(indices)} masks: '
                 f'{listed}. The best is '
                 f'{names[np.argmax(scores)]}.')
    print_log(text, 'current')
