# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What the network sees of some images of a data set."""
from typing import List, Sequence, Tuple

import mmcv
import numpy as np
from mmengine.dataset import BaseDataset

from mmseg_afa.visualization import overlay_label, picture_sheet

BOX_COLOUR = (0, 200, 0)  # BGR


def draw_box(image: np.ndarray, box: Sequence[int]) -> np.ndarray:
    """Draw the outline of the part of a crop that shows image.

    Args:
        image (np.ndarray): BGR uint8 of shape (H, W, 3).
        box (Sequence[int]): (top, bottom, left, right) in pixels, the last
            row and column excluded.

    Returns:
        np.ndarray: BGR uint8 of shape (H, W, 3); the outermost pixels of the
        box are coloured.
    """
    top, bottom, left, right = box
    width = max(1, min(image.shape[:2]) // 100)
    framed = image.copy()
    framed[top:bottom, left:right] = BOX_COLOUR
    inside = (slice(top + width,
                    max(bottom - width,
                        0)), slice(left + width, max(right - width, 0)))
    framed[inside] = image[inside]
    return framed


def view(sample: dict, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """One sample as the pipeline gives it: the crop, its mask if there is
    one, and its box.

    Args:
        sample (dict): 'inputs' (3, H, W) uint8, BGR, and 'data_samples'.
        palette (Sequence): RGB of each class.

    Returns:
        np.ndarray: BGR uint8 of shape (H, W, 3).
    """
    image = np.ascontiguousarray(sample['inputs'].permute(1, 2, 0).numpy())
    data_sample = sample['data_samples']
    if 'gt_sem_seg' in data_sample:
        mask = data_sample.gt_sem_seg.data[0].numpy()
        # Test pipelines resize the image, and not the mask.
        mask = mmcv.imresize(mask, image.shape[1::-1], interpolation='nearest')
        image = overlay_label(image, mask, palette)
    height, width = image.shape[:2]
    return draw_box(image, data_sample.get('img_box', (0, height, 0, width)))


def caption(sample: dict, classes: Sequence[str]) -> str:
    """File and tags of a sample.

    Args:
        sample (dict): With 'data_samples'.
        classes (Sequence[str]): Background first.
    """
    data_sample = sample['data_samples']
    tags = 'no labels'
    if 'image_label' in data_sample:
        shown = data_sample.image_label.nonzero().flatten().tolist()
        tags = ', '.join(classes[i + 1] for i in shown) or 'no tags'
    return f'{data_sample.img_path.rpartition("/")[2]}: {tags}'


def training_sheet(dataset: BaseDataset,
                   indices: Sequence[int],
                   views: int = 3) -> np.ndarray:
    """Draw images as they are stored, and as the network sees them.

    Args:
        dataset (BaseDataset): With a pipeline that ends in
            `PackWeakSegInputs` or `PackSegInputs`.
        indices (Sequence[int]): Which images, a row each.
        views (int): How often each goes through the pipeline.

    Returns:
        np.ndarray: BGR uint8 of shape (H, W, 3).
    """
    classes, palette = (
        dataset.metainfo[key] for key in ('classes', 'palette'))
    rows: List[List[np.ndarray]] = []
    captions: List[str] = []
    masks = False
    for index in indices:
        load = dataset.pipeline.transforms[0]
        photo = load(dataset.get_data_info(index))['img']
        samples = [dataset[index] for _ in range(views)]
        masks |= 'gt_sem_seg' in samples[0]['data_samples']
        captions.append(caption(samples[0], classes))
        rows.append([photo, *(view(sample, palette) for sample in samples)])
    shown: Tuple = (classes, palette) if masks else ((), ())
    columns = ['image', *(f'seen {n}' for n in range(1, views + 1))]
    return picture_sheet(rows, columns, *shown, captions)
