# Copyright (c) mmseg_afa contributors. All rights reserved.
"""COCO's results: run lengths with scores, and the images they are about."""
import json
import re
from pathlib import Path
from typing import Iterator, List, Sequence

import cv2
import numpy as np

from ...utils import progress, replacing
from .photo_mask import PhotoMask, classes_in, json_list


def image_ids(names: Sequence[str]) -> List[int]:
    """COCO's own numbers where all names have one, as in
    'COCO_val2014_000000000042' or '000000000042', else 1, 2, ..."""
    found = [re.search(r'(?:^|[/_])(\d{12})$', name) for name in names]
    if all(found):
        numbers = [int(match[1]) for match in found]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(names) + 1))


def parts(mask: np.ndarray, instances: bool) -> Iterator[np.ndarray]:
    """A binary mask (H, W), or each of its connected parts."""
    if not instances:
        yield mask
        return
    count, labels = cv2.connectedComponents(mask.astype(np.uint8))
    for i in range(1, count):
        yield labels == i


def write_coco(photos: Sequence[PhotoMask],
               classes: Sequence[str],
               out: Path,
               instances: bool = False) -> Path:
    """Write ``out/coco/results.json``, which ``COCO.loadRes`` reads, and
    ``out/coco/images.json`` with the images and categories.

    Args:
        photos (Sequence[PhotoMask]): The photos.
        classes (Sequence[str]): Names of 0..C; the background is left out.
        out (Path): A folder.
        instances (bool): Connected parts of a class one by one.

    Returns:
        Path: results.json.

    Raises:
        ImportError: Without pycocotools.
    """
    try:
        from pycocotools import mask as coco_mask
    except ImportError as error:
        raise ImportError('--format coco needs pycocotools: '
                          'pip install ".[data]".') from error
    ids = image_ids([photo.name for photo in photos])
    images = dict(
        images=[
            dict(
                id=number,
                file_name=photo.name + Path(photo.photo).suffix,
                height=photo.size[0],
                width=photo.size[1]) for number, photo in zip(ids, photos)
        ],
        categories=[
            dict(id=i, name=name) for i, name in enumerate(classes) if i
        ],
        annotations=[])
    path = out / 'coco' / 'results.json'
    with json_list(path) as write:
        for number, photo in zip(progress(ids, 'coco'), photos):
            mask = photo.read()
            for i in classes_in(mask, len(classes)):
                for part in parts(mask == i, instances):
                    run_lengths = coco_mask.encode(
                        np.asfortranarray(part, np.uint8))
                    # no bbox: loadRes would take it for a detection
                    write(
                        dict(
                            image_id=number,
                            category_id=i,
                            segmentation=dict(
                                size=list(mask.shape),
                                counts=run_lengths['counts'].decode()),
                            score=photo.confidence[classes[i]]))
    with replacing(path.with_name('images.json')) as unfinished:
        unfinished.write_text(
            json.dumps(images, ensure_ascii=False), encoding='utf-8')
    return path
