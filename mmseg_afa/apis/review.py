# Copyright (c) mmseg_afa contributors. All rights reserved.
"""A contact sheet of the masks that a person should look at."""
from pathlib import Path
from typing import Sequence

import mmcv
import numpy as np
import torch

from ..datasets.mask_file import read_mask
from ..datasets.transforms.load_image import LoadWeakImage
from ..visualization import WeakSegLocalVisualizer
from .mask_folder import MaskFolder
from .records import doubt

SIDE = 320  # pixels: a cell of the sheet has about half as many


def review_sheet(folder: MaskFolder, records: Sequence[dict],
                 source: str) -> np.ndarray:
    """Draw photos, their masks and what is known of them.

    Args:
        folder (MaskFolder): Where the masks are.
        records (Sequence[dict]): Which photos, in this order.
        source (str): The source of the masks.

    Returns:
        np.ndarray: RGB uint8 (H, W, 3).
    """
    visualizer = WeakSegLocalVisualizer(alpha=0.65)
    visualizer.dataset_meta = dict(
        classes=folder.classes, palette=folder.palette)
    load = LoadWeakImage()
    rows, captions = [], []
    for record in records:
        photo = mmcv.bgr2rgb(load(dict(img_path=record['path']))['img'])
        photo = mmcv.imrescale(photo, (SIDE, SIDE), interpolation='area')
        path = folder.mask(source, record['photo'])
        mask = torch.from_numpy(read_mask(str(path), len(folder.classes)))
        row = {'photo': photo, 'mask': visualizer.draw_label(photo, mask)}
        share = folder.mask(f'{source}_confidence', record['photo'])
        if share.exists():
            confidence = mmcv.imread(str(share), 'grayscale')
            row['confidence'] = visualizer.draw_heatmap(
                photo, torch.from_numpy(confidence))
        rows.append(row)
        captions.append(caption(record, source))
    return visualizer.draw_sheet(rows, captions)


def caption(record: dict, source: str) -> str:
    """The photo's name, tags, doubt and remarks in a line."""
    text = Path(record['photo']).name
    if record['tags'] is not None:
        text += f' [{", ".join(record["tags"]) or "no tags"}]'
    found = record['sources'][source]['remarks']
    return f'{text} {doubt(record, source):.2f} ' + '; '.join(
        f'{name}: {remark}' for name, remark in found.items())
