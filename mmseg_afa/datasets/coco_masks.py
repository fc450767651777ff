# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Semantic masks drawn from the annotations of objects, as COCO has them.

The format is described at https://cocodataset.org/#format-data.
"""
import json
from reprlib import repr as short_repr
from typing import NamedTuple, Tuple, Union

import numpy as np
from pycocotools import mask as coco_mask

from ..utils import IGNORE_INDEX

# Of a polygon in pixels. COCO's images have sides of up to 640; pycocotools
# takes memory in proportion, 100 MB for this, whatever the image's size.
MAX_OUTLINE = 1_000_000


class CocoAnnotation(NamedTuple):
    """An object, or with ``iscrowd`` a region with several of a class."""
    id: int
    number: int  # of the class in the mask
    iscrowd: bool
    segmentation: str  # as it stands in the file, JSON


class CocoImage(NamedTuple):
    """An image and all that is annotated in it."""
    name: str  # without suffix
    height: int
    width: int
    annotations: Tuple[CocoAnnotation, ...]


def draw_mask(image: CocoImage, crowd: str, where: str) -> np.ndarray:
    """Draw the mask of an image.

    Crowd regions come first and objects over them, each by area, the largest
    first, so that small objects stay visible on large ones. Of two equally
    large ones that with the higher id is on top.

    Args:
        image (CocoImage): The image.
        crowd (str): 'class' to draw crowd regions as their class, 'ignore'
            to draw them as 255.
        where (str): The annotation file, for messages.

    Returns:
        np.ndarray: uint8 of shape (H, W): the numbers of classes, 0 for
        background, 255 for pixels to ignore.

    Raises:
        ValueError: If a segmentation cannot be drawn.
    """
    layers = []
    for annotation in image.annotations:
        try:
            region = encode(
                json.loads(annotation.segmentation), image.height, image.width)
        except ValueError as error:
            raise ValueError(
                f'{where}: annotation {annotation.id}: {error}') from error
        layers.append((not annotation.iscrowd, -int(coco_mask.area(region)),
                       annotation.id, annotation, region))

    # pycocotools goes down the columns
    mask = np.zeros((image.height, image.width), np.uint8, order='F')
    for *_, annotation, region in sorted(layers, key=lambda layer: layer[:3]):
        ignored = annotation.iscrowd and crowd == 'ignore'
        np.copyto(
            mask,
            IGNORE_INDEX if ignored else annotation.number,
            where=coco_mask.decode(region).view(bool))
    return np.ascontiguousarray(mask)


def encode(segmentation: Union[list, dict], height: int, width: int) -> dict:
    """Encode a segmentation as pycocotools' compressed run lengths.

    Args:
        segmentation (list or dict): A list of polygons, each a list
            [x, y, x, y, ...] in pixels; or run lengths down the columns,
            dict(size=[height, width], counts=...), with a list or a
            compressed string. Polygons of less than three points, which
            real files have, cover nothing.
        height (int): Height of the image.
        width (int): Width of the image.

    Returns:
        dict: 'size' and 'counts', of which pycocotools can decode
        (height, width) pixels.

    Raises:
        ValueError: If it is something else, is of another size, or would
            have pycocotools leave the bounds of the image or the memory.
    """
    if isinstance(segmentation, dict):
        if segmentation.get('size') != [height, width]:
            raise ValueError(
                'its run lengths have the size '
                f'{short_repr(segmentation.get("size"))}, but the image has '
                f'{[height, width]} (height, width).')
        return _encode_counts(
            _read_counts(segmentation.get('counts')), height, width)
    if not isinstance(segmentation, list):
        raise ValueError(f'its segmentation is {short_repr(segmentation)}, '
                         'expected a list of polygons or run lengths.')
    polygons = [
        polygon for polygon in map(_read_polygon, segmentation)
        if len(polygon) >= 6
    ]
    if not polygons:
        return _encode_counts(np.array([height * width]), height, width)
    return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))


def _read_polygon(polygon):
    try:
        numbers = np.array(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.array(np.nan)
    if numbers.ndim != 1 or len(numbers) % 2:
        raise ValueError(f'found the polygon {short_repr(polygon)}, expected '
                         'a list of numbers x, y, x, y, ...')
    points = numbers.reshape(-1, 2)
    steps = np.abs(points - np.roll(points, 1, 0)).max(1, initial=0)
    # `not <=` for the sake of NaN
    if not steps.sum() + np.abs(numbers).max(initial=0) <= MAX_OUTLINE:
        raise ValueError(f'the polygon {short_repr(polygon)} leads too far '
                         'out of the image.')
    return numbers


def _read_counts(counts):
    """Run lengths as int64, from a list or a compressed string."""
    try:
        if isinstance(counts, str):
            return _decompress(counts)
        numbers = np.array(counts)
    except (ValueError, OverflowError):
        numbers = np.array(np.nan)
    if not isinstance(counts, list) or numbers.ndim != 1 or (numbers.dtype.kind
                                                             != 'i'):
        raise ValueError(f'its run lengths are {short_repr(counts)}, expected '
                         'a list of integers or a compressed string.')
    return numbers


def _decompress(text):
    """What rleFrString of pycocotools computes, within the bounds of ``text``.

    Each number is written five bits at a time, the lowest first, in the
    characters from '0' on; the sixth bit says that it goes on, the fifth of
    its last character is its sign. From the fourth on they are differences
    to the number before the last.
    """
    digits = np.frombuffer(text.encode('ascii'), np.uint8).astype(int) - 48
    goes_on = digits & 32 != 0
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or goes_on[-1]:
        raise ValueError(text)
    last = np.flatnonzero(~goes_on)
    first = np.concatenate([[0], last[:-1] + 1])
    length = last - first + 1
    if length.max() > 7:  # of 32 bits and a sign
        raise ValueError(text)
    place = np.arange(len(digits)) - np.repeat(first, length)
    numbers = np.add.reduceat((digits & 31) << 5 * place, first)
    numbers -= (digits[last] >> 4 & 1) << 5 * length
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _encode_counts(counts, height, width):
    # pycocotools fills the rest of too short ones with what the memory holds
    area = height * width
    if not ((0 <= counts) & (counts <= area)).all() or counts.sum() != area:
        raise ValueError(f'its run lengths {short_repr(counts.tolist())} do '
                         f'not sum up to the {area} pixels of the image.')
    return coco_mask.frPyObjects(
        dict(size=[height, width], counts=counts), height, width)
