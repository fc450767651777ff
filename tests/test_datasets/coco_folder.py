# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Small annotation files in COCO's format, and shapes in each of its forms."""
import json

import numpy as np
from pycocotools import mask as coco_mask

from mmseg_afa.datasets import COCO2014WeakDataset

CLASSES = COCO2014WeakDataset.METAINFO['classes'][1:]
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
IDS = [number for number in range(1, 91) if number not in UNUSED]
# COCO's own file has them in this order, too; the tests do not rely on it.
CATEGORIES = [
    dict(supercategory='thing', id=id, name=name)
    for id, name in zip(IDS, CLASSES)
]


def polygon(top, left, bottom, right):
    """Outline mask[top:bottom, left:right]."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def rle(mask):
    """Run lengths as a list, which COCO has for crowds."""
    pixels = np.concatenate([[0], mask.ravel(order='F'), [0]]).astype(np.int8)
    changes = np.flatnonzero(np.diff(pixels))
    edges = np.concatenate([[0], changes, [mask.size]])
    return dict(size=list(mask.shape), counts=np.diff(edges).tolist())


def compressed_rle(mask):
    """Run lengths as a string."""
    encoded = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return dict(size=list(mask.shape), counts=encoded['counts'].decode())


def box(height, width, top, left, bottom, right):
    """Make a mask with a rectangle in it."""
    mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def image(id, height, width, split='train'):
    """Make an entry of 'images'."""
    return dict(
        id=id,
        file_name=f'COCO_{split}2014_{id:012d}.jpg',
        height=height,
        width=width,
        license=1)


def annotation(id, image_id, name, segmentation, iscrowd=0):
    """Make an entry of 'annotations'."""
    return dict(
        id=id,
        image_id=image_id,
        category_id=IDS[CLASSES.index(name)],
        segmentation=segmentation,
        iscrowd=iscrowd,
        area=1.,
        bbox=[0., 0., 1., 1.])


def write_annotations(root, split, **sections):
    """Write an annotation file, its sections in the order given."""
    path = root / f'annotations/instances_{split}2014.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(info={}, **sections)))
    return path
