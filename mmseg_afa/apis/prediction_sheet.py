# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What a trained AFA makes of some images, from CAM to prediction."""
from typing import List, Sequence

import mmcv
import numpy as np
import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from torch import Tensor

from mmseg_afa.models import AFA, PresentClasses
from mmseg_afa.models.segmentors.afa import AFFINITY_LABELS, CAM_LABELS
from mmseg_afa.visualization import (overlay_heatmap, overlay_label,
                                     picture_sheet)

COLUMNS = ('image', 'CAM', 'affinity CAM', 'pseudo label', 'prediction',
           'truth')


def foreground_heat(scores: Tensor) -> np.ndarray:
    """Strongest foreground share (H, W) of scores (C + 1, H, W) >= 0,
    stretched to [0, 1] as CAMs are."""
    share = scores[1:].amax(0) / scores.sum(0).clamp(min=1e-6)
    share = share - share.min()
    return (share / share.max().clamp(min=1e-6)).cpu().numpy()


@torch.no_grad()
def sheet_row(model: AFA, data: dict,
              palette: Sequence[Sequence[int]]) -> List[np.ndarray]:
    """The cells of one image.

    Args:
        model (AFA): In evaluation mode, with test_cfg.with_cam and, for the
            affinity's column, with_affinity_cam.
        data (dict): A sample of a validation set; its pipeline may resize.
        palette (Sequence): RGB of each class.

    Returns:
        list[np.ndarray]: BGR uint8 cells in the order of COLUMNS.
    """
    batch = pseudo_collate([data])
    image = data['inputs'].permute(1, 2, 0).numpy()
    sample, = model.test_step(batch)
    label = sample.image_label[None].to(sample.cam.data)
    cam = (sample.cam.data * label[0, :, None, None]).amax(0).cpu().numpy()

    inputs = model.data_preprocessor(batch, False)['inputs']
    boxes = torch.tensor([[0, inputs.shape[2], 0, inputs.shape[3]]],
                         device=inputs.device)
    phase = AFFINITY_LABELS if model.affinity_head else CAM_LABELS
    pseudo = model.pseudo_labels(inputs, PresentClasses.of(label), boxes,
                                 phase).seg[0]

    affinity = np.full_like(image, 255)
    if 'affinity_cam' in sample:
        heat = foreground_heat(sample.affinity_cam.data)
        affinity = overlay_heatmap(resize_to(image, heat), heat)
    labels = [
        x.long().cpu().numpy() for x in (pseudo, sample.pred_sem_seg.data[0],
                                         sample.gt_sem_seg.data[0])
    ]
    return [
        image,
        overlay_heatmap(resize_to(image, cam), cam), affinity,
        *(overlay_label(resize_to(image, x), x, palette) for x in labels)
    ]


def resize_to(image: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The image at the height and width of a map (H, W)."""
    return mmcv.imresize(image, values.shape[::-1])


def spread(total: int, number: int) -> List[int]:
    """`number` indices spread evenly over `total` images."""
    number = min(number, total)
    return [i * total // number for i in range(number)]


def prediction_sheet(
        model: AFA,
        dataset: BaseDataset,
        indices: Sequence[int],
        cell_size: Sequence[int] = (160, 160),
) -> np.ndarray:
    """Draw image, CAM, affinity CAM, pseudo label, prediction and truth.

    CAMs and pseudo label are given the true image label, as in training.

    Args:
        model (AFA): See :func:`sheet_row`.
        dataset (BaseDataset): A validation set with masks.
        indices (Sequence[int]): Images to draw.
        cell_size (Sequence[int]): Height and width of a cell in pixels.

    Returns:
        np.ndarray: BGR uint8 (H, W, 3).
    """
    classes = dataset.metainfo['classes']
    palette = dataset.metainfo['palette']
    model.eval()
    rows, captions = [], []
    for i in indices:
        data = dataset[i]
        rows.append(sheet_row(model, data, palette))
        shown = data['data_samples'].image_label.nonzero().flatten().tolist()
        captions.append(', '.join(classes[c + 1] for c in shown))
    return picture_sheet(rows, COLUMNS, classes, palette, captions, cell_size)
