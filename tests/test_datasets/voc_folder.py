# Copyright (c) mmseg_afa contributors. All rights reserved.
"""A small data set in the layout of PASCAL VOC, of real JPEG and PNG files."""
import numpy as np
from PIL import Image

from mmseg_afa.datasets import PascalVOCWeakDataset

CLASSES = PascalVOCWeakDataset.METAINFO['classes']
PALETTE = np.ravel(PascalVOCWeakDataset.METAINFO['palette']).tolist()

# Name: height, width and the classes in the mask.
IMAGES = {
    '2007_000001': (20, 30, ('cat', 'person')),
    '2007_000002': (33, 17, ('dog', )),
    '2007_000003': (24, 24, ()),
}


def make_mask(height, width, tags):
    """Draw a row of each class on background, and a last row to ignore."""
    mask = np.zeros((height, width), np.uint8)
    for row, tag in enumerate(tags, 2):
        mask[row] = CLASSES.index(tag)
    mask[-1] = 255
    return mask


def write_mask(path, mask):
    """Write a mask as VOC does, with a palette."""
    image = Image.fromarray(mask).convert('L')
    image.putpalette(PALETTE)
    image.save(path)


def write_voc(root, lists=('trainaug', 'val'), masks=True):
    """Write the data set with a label file, and return its folder."""
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'SegmentationClassAug', 'Annotations',
                   'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    lines = ['# ' + ','.join(CLASSES[1:])]
    for name, (height, width, tags) in IMAGES.items():
        pixels = rng.integers(1, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(root / f'JPEGImages/{name}.jpg')
        if masks:
            write_mask(root / f'SegmentationClassAug/{name}.png',
                       make_mask(height, width, tags))
        objects = ''.join(
            f'<object><name>{tag}</name><part><name>head</name></part>'
            '</object>' for tag in tags[::-1] + tags)
        (root / f'Annotations/{name}.xml').write_text(
            f'<annotation><filename>{name}.jpg</filename>{objects}'
            '</annotation>')
        lines.append(f'{name}: {", ".join(tags)}'.rstrip())
    for split in lists:
        (root /
         f'ImageSets/Segmentation/{split}.txt').write_text('\n'.join(IMAGES) +
                                                           '\n')
    (root / 'image_labels.txt').write_text('\n'.join(lines) + '\n')
    return root
