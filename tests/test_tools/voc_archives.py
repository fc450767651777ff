# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Write small copies of the archives of VOC and SBD."""
import numpy as np
from PIL import Image
from scipy.io import savemat
from scipy.sparse import csc_matrix

from ..test_datasets.voc_folder import write_mask

TRAIN = ['2007_000001', '2007_000002']
VAL = ['2007_000003', '2007_000004']
SBD = [
    '2007_000002', '2007_000003', '2008_000005', '2008_000006', '2008_000007'
]
TRAINAUG = [*TRAIN, *SBD[2:]]


def make_mask(name):
    """Draw a mask of 20 x 30 to 26 x 36 pixels, with two classes."""
    number = int(name[-6:])
    mask = np.zeros((20 + number % 7, 30 + number % 7), np.uint8)
    mask[2:9, number % 20:] = 1 + number % 20
    mask[9:11] = 20
    return mask


def with_void(mask):
    """Add pixels to ignore, as VOC's own masks have them."""
    mask = mask.copy()
    mask[1] = 255
    return mask


def write_sbd_mask(path, mask):
    """Write a mask as SBD does."""
    boundaries = np.empty((20, 1), object)
    boundaries[:, 0] = [csc_matrix(mask == i) for i in range(1, 21)]
    savemat(
        path,
        dict(
            GTcls=dict(
                Boundaries=boundaries,
                Segmentation=mask,
                CategoriesPresent=np.unique(mask[mask > 0])[:, None])),
        do_compression=True)


def write_voc(folder, images):
    """Write what VOC's archive unpacks to, and return VOC2012 in it."""
    root = folder / 'VOCdevkit/VOC2012'
    for name in ('JPEGImages', 'Annotations', 'SegmentationClass',
                 'SegmentationObject', 'ImageSets/Segmentation'):
        (root / name).mkdir(parents=True)
    for name in images:
        Image.fromarray(make_mask(name)).save(root / f'JPEGImages/{name}.jpg')
        (root / f'Annotations/{name}.xml').write_text('<annotation/>')
    for name in TRAIN + VAL:
        write_mask(root / f'SegmentationClass/{name}.png',
                   with_void(make_mask(name)))
        (root / f'SegmentationObject/{name}.png').write_text('not needed')
    for split, names in dict(train=TRAIN, val=VAL).items():
        text = ''.join(f'{name}\n' for name in names)
        (root / f'ImageSets/Segmentation/{split}.txt').write_text(text)
    return root


def write_sbd(folder):
    """Write what SBD's archive unpacks to, and return its ``dataset``."""
    root = folder / 'benchmark_RELEASE/dataset'
    for name in ('cls', 'img'):
        (root / name).mkdir(parents=True)
    for name in SBD:
        write_sbd_mask(root / f'cls/{name}.mat', make_mask(name))
        (root / f'img/{name}.jpg').write_text('not needed')
    return root


def write_aug(folder):
    """Write what SegmentationClassAug.zip unpacks to, on a Mac."""
    root = folder / 'SegmentationClassAug'
    root.mkdir(parents=True)
    for name in [*TRAINAUG, *VAL]:
        Image.fromarray(make_mask(name)).save(root / f'{name}.png')
        (root / f'._{name}.png').write_text('a note')
    return root
