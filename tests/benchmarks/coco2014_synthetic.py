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
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from tools.dataset_converters import coco2014
from ..test_datasets.coco_folder import CATEGORIES, annotation, image

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


def rectangle(rng, height, width):
    """Run lengths of a random rectangle, as a list."""
    tall, wide = rng.integers(1, (height // 2, width // 2))
    top, left = rng.integers(0, (height - tall, width - wide))
    counts = [height * left + top, tall] + [height - tall, tall] * (wide - 1)
    return dict(
        size=[height, width],
        counts=[int(count)
                for count in counts] + [int(height * width - sum(counts))])


def objects(rng, image_id, first_id, height, width):
    """The annotations of an image: 90 % polygons, the others run lengths in
    both forms, half of them crowds."""
    for id in range(first_id, first_id + rng.integers(1, 2 * ANNOTATIONS)):
        name = CATEGORIES[rng.integers(len(CATEGORIES))]['name']
        if rng.random() < 0.9:
            yield annotation(id, image_id, name, outline(rng, height, width))
            continue
        runs = rectangle(rng, height, width)
        iscrowd = int(rng.random() < 0.5)
        if not iscrowd:
            runs = coco_mask.frPyObjects(runs, height, width)
            runs['counts'] = runs['counts'].decode()
        yield annotation(id, image_id, name, runs, iscrowd)


def write_synthetic(root, num_images, seed=0):
    """Write an annotation file piece by piece, annotations first, and return
    their number."""
    rng = np.random.default_rng(seed)
    sizes = [SIZES[i] for i in rng.integers(len(SIZES), size=num_images)]
    path = root / 'annotations/instances_train2014.json'
    path.parent.mkdir(parents=True)
    count = 0
    with open(path, 'w') as file:
        file.write('{"annotations": [')
        for image_id, size in enumerate(sizes):
            for item in objects(rng, image_id, count, *size):
                file.write(', ' * (count > 0) + json.dumps(item))
                count += 1
        file.write('], "images": [')
        for image_id, size in enumerate(sizes):
            file.write(', ' * (image_id > 0) +
                       json.dumps(image(image_id, *size)))
        file.write(f'], "categories": {json.dumps(CATEGORIES)}}}')
    return count


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='a new folder to fill')
    parser.add_argument('--images', type=int, default=50000)
    parser.add_argument('--workers', type=int, default=2)
    args = parser.parse_args(argv)
    count = write_synthetic(args.folder, args.images)
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
