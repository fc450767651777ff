# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Draw synthetic tissue: three textures tile each photo, its margin is white.

``python tests/tissue.py FOLDER TRAIN VAL`` writes the demo's layout.
"""
import sys
from pathlib import Path

import cv2
import numpy as np

from tools.demo.scenes import noise, spots, stripes

# BGR of both ends of each texture's pattern
TISSUES = dict(
    stroma=(stripes, (200, 160, 235), (150, 90, 190)),
    tumour=(spots, (190, 120, 170), (120, 40, 80)),
    fat=(noise, (215, 205, 225), (150, 170, 215)))


def draw_tissue(rng, size):
    """Draw an image, its mask (1 to 3, the margin 255), and its tags."""
    shape = (size, size)
    shown = rng.choice(3, rng.integers(1, 4), replace=False)
    pixels = np.stack(np.indices(shape, 'f4'), -1)
    wobble = np.stack([noise(rng, shape), noise(rng, shape)], -1) * size / 4
    seeds = rng.random((6, 1, 1, 2), 'f4') * size
    nearest = np.linalg.norm(pixels + wobble - size / 8 - seeds, axis=-1)
    mask = shown[np.arange(6) % len(shown)][nearest.argmin(0)] + 1
    image = np.zeros((*shape, 3), 'f4')
    for number, (pattern, light, dark) in enumerate(TISSUES.values(), 1):
        share = pattern(rng, shape)[..., None]
        image[mask == number] = (
            light + share * np.subtract(dark, light))[mask == number]
    image += 6 * rng.standard_normal(image.shape, 'f4')
    centre = (0.5 + 0.15 * rng.standard_normal(2)) * size
    away = np.linalg.norm(pixels + wobble - size / 8 - centre, axis=-1)
    white = away > rng.uniform(0.5, 0.7) * size
    image[white] = 250 + rng.standard_normal((white.sum(), 1))
    mask[white] = 255
    tags = [name for i, name in enumerate(TISSUES, 1) if (mask == i).any()]
    return image.clip(0, 255).astype('u1'), mask.astype('u1'), tags


def write_tissue(root, train, val, size=128):
    """Write a data set in the demo's layout."""
    lists = root / 'ImageSets/Segmentation'
    for folder in (lists, root / 'JPEGImages', root / 'SegmentationClassAug'):
        folder.mkdir(parents=True)
    lines = ['# ' + ','.join(TISSUES)]
    for seed, (split,
               count) in enumerate(dict(trainaug=train, val=val).items()):
        names = [f'{split}_{i:04d}' for i in range(count)]
        for i, name in enumerate(names):
            rng = np.random.default_rng([seed, i])
            image, mask, tags = draw_tissue(rng, size)
            cv2.imwrite(str(root / f'JPEGImages/{name}.jpg'), image)
            if split == 'val':
                path = root / f'SegmentationClassAug/{name}.png'
                cv2.imwrite(str(path), mask)
            lines.append(f'{name}: {", ".join(tags)}')
        (lists / f'{split}.txt').write_text('\n'.join(names) + '\n')
    (root / 'image_labels.txt').write_text('\n'.join(lines) + '\n')


if __name__ == '__main__':
    write_tissue(Path(sys.argv[1]), *map(int, sys.argv[2:]))
