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


def run_lengths(labels: np.ndarray) -> Iterator[List[int]]:
    """COCO's counts of each number above 0 in an array (H, W): down the
    columns, pixels without and with it in turn.

    All numbers in one pass: noise has thousands of connected parts.
    """
    flat = np.pad(labels.T.ravel(), 1)
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.stack([edges[:-1], edges[1:]], 1)
    numbers = flat[edges[:-1] + 1]
    order = np.argsort(numbers, kind='stable')[np.sum(numbers == 0):]
    ends = np.flatnonzero(np.diff(numbers[order])) + 1
    for found in np.split(runs[order], ends):
        counts = np.diff(found.ravel(), prepend=0, append=labels.size)
        yield np.trim_zeros(counts, 'b').tolist()


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
            size = list(mask.shape)
            for i in classes_in(mask, len(classes)):
                labels = (mask == i).astype(np.uint8)
                if instances:
                    labels = cv2.connectedComponents(labels)[1]
                for counts in run_lengths(labels):
                    code = coco_mask.frPyObjects(
                        dict(size=size, counts=counts), *size)
                    # no bbox: loadRes would take it for a detection
                    write(
                        dict(
                            image_id=number,
                            category_id=i,
                            segmentation=dict(
                                size=size, counts=code['counts'].decode()),
                            score=photo.confidence[classes[i]]))
    with replacing(path.with_name('images.json')) as unfinished:
        unfinished.write_text(
            json.dumps(images, ensure_ascii=False), encoding='utf-8')
    return path
