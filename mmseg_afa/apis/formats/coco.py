# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Export masks as COCO results."""
import json
import re
from pathlib import Path
from typing import Iterator, List, Sequence

import cv2
import numpy as np

from ...utils import progress, replacing
from ..photo_mask import PhotoMask
from .common import foreground, json_list


def write_coco(masks: Sequence[PhotoMask],
               out: Path,
               instances: bool = False) -> Path:
    """Write COCO results, run lengths with scores.

    ``COCO.loadRes`` reads ``out/coco/results.json``. The images and the
    categories are in ``out/coco/images.json``.

    Args:
        masks (Sequence[PhotoMask]): The masks. The background is left out.
        out (Path): A folder.
        instances (bool): Whether each connected part of a class is one result.

    Returns:
        Path: results.json.
    """
    from pycocotools.mask import encode
    images, path = [], out / 'coco' / 'results.json'
    classes = masks[0].classes
    ids = coco_image_ids([mask.photo.name for mask in masks])
    with json_list(path) as write:
        for number, mask in zip(progress(ids, 'coco'), masks):
            pixels, record = mask.read(), mask.record()
            height, width = pixels.shape
            file_name = mask.photo.name + Path(mask.photo.path).suffix
            images.append(
                dict(
                    id=number, file_name=file_name, height=height,
                    width=width))
            for i in foreground(pixels):
                whole = pixels == i
                for part in connected_parts(whole) if instances else [whole]:
                    code = encode(np.asfortranarray(part, np.uint8))
                    # Without bbox: loadRes would read a detection.
                    write(
                        dict(
                            image_id=number,
                            category_id=i,
                            segmentation=dict(
                                size=[height, width],
                                counts=code['counts'].decode()),
                            score=record.confidence(classes[i])))
    categories = [dict(id=i, name=name) for i, name in enumerate(classes) if i]
    with replacing(path.with_name('images.json')) as unfinished:
        unfinished.write_text(
            json.dumps(
                dict(images=images, categories=categories, annotations=[]),
                ensure_ascii=False),
            encoding='utf-8')
    return path


def coco_image_ids(names: Sequence[str]) -> List[int]:
    """Assign an id to each image.

    The ids are COCO's own if all names have one, as in
    'COCO_val2014_000000000042' or '000000000042', else 1, 2, ...
    """
    found = [re.search(r'(?:^|[/_])(\d{12})$', name) for name in names]
    if all(found):
        numbers = [int(match[1]) for match in found]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(names) + 1))


def connected_parts(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Split a mask, bool (H, W), into its connected parts."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    return (labels == i for i in range(1, count))
