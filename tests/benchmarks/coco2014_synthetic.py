# Copyright (c) mmseg_afa contributors. All rights reserved.
"""How fast the converter of COCO 2014 is, and how much memory it takes.

Writes synthetic annotations of any number of images, converts them, and prints
figures as JSON. From the root of the repository, on Linux:

    python -m tests.benchmarks.coco2014_synthetic FOLDER --images 50000
"""
import argparse
import json
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from tools.dataset_converters import coco2014
from ..test_datasets.coco_folder import (CATEGORIES, annotation, box,
                                         compressed_rle, image, rle,
                                         write_annotations)

SIZES = ((480, 640), (427, 640), (640, 480), (333, 500), (640, 640))
ANNOTATIONS = 7  # in an image, on average


def outline(rng, height, width):
    """A polygon around a random centre, as COCO writes them."""
    angle = np.linspace(0, 2 * np.pi, rng.integers(12, 50), endpoint=False)
    radius = rng.uniform(8, 150) * rng.uniform(0.7, 1.3, angle.size)
    centre = rng.random(2) * (width, height)
    points = np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]
    points = np.clip(points + centre, 0, (width, height))
    return [points.round(2).ravel().tolist()]


def objects(rng, image_id, first_id, height, width):
    """The annotations of an image: 90 % polygons, the others rectangles as
    run lengths in both forms, half of them crowds."""
    for id in range(first_id, first_id + rng.integers(1, 2 * ANNOTATIONS)):
        name = CATEGORIES[rng.integers(len(CATEGORIES))]['name']
        if rng.random() < 0.9:
            yield annotation(id, image_id, name, outline(rng, height, width))
            continue
        bottom, right = rng.integers(2, (height, width))
        top, left = rng.integers(0, (bottom, right))
        mask = box(height, width, top, left, bottom, right)
        iscrowd = int(rng.random() < 0.5)
        yield annotation(id, image_id, name,
                         (rle if iscrowd else compressed_rle)(mask), iscrowd)


def write_synthetic(root, num_images):
    """Write an annotation file, and return the number of annotations."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for id in range(num_images):
        size = SIZES[rng.integers(len(SIZES))]
        images.append(image(id, *size))
        annotations += objects(rng, id, len(annotations), *size)
    write_annotations(
        root,
        'train',
        images=images,
        annotations=annotations,
        categories=CATEGORIES)
    return len(annotations)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='a new folder to fill')
    parser.add_argument('--images', type=int, default=50000)
    parser.add_argument('--workers', type=int, default=2)
    args = parser.parse_args(argv)
    with ProcessPoolExecutor(1) as pool:  # its memory does not count
        count = pool.submit(write_synthetic, args.folder, args.images).result()
    file = args.folder / 'annotations/instances_train2014.json'
    start = time.monotonic()
    coco2014.main([
        str(args.folder), '--splits', 'train', '--workers',
        str(args.workers)
    ])
    seconds = time.monotonic() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            dict(
                images=args.images,
                annotations=count,
                json_mb=round(file.stat().st_size / 2**20, 1),
                workers=args.workers,
                seconds=round(seconds, 1),
                images_per_second=round(args.images / seconds),
                memory_mb=round(memory)),
            indent=2))


if __name__ == '__main__':
    main()
