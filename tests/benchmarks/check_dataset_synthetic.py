# Copyright (c) mmseg_afa contributors. All rights reserved.
"""How fast the check of a data set is, and how much memory it takes.

Writes a synthetic data set of any number of images, checks it in a process of
its own, and prints figures as JSON. From the root of the repository:

    python -m tests.benchmarks.check_dataset_synthetic FOLDER --images 50000
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from mmseg_afa.datasets import PascalVOCWeakDataset, write_label_file

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/analysis_tools/check_dataset.py'
CLASSES = PascalVOCWeakDataset.METAINFO['classes'][1:]
DISTINCT = 100  # images; the others are links to these
SIZES = ((500, 375), (375, 500), (500, 333), (480, 360), (500, 400))
BROKEN = 0.01  # of the images
CONFIG = """
custom_imports = dict(imports=['mmseg_afa'], allow_failed_imports=False)
train_dataloader = dict(
    dataset=dict(
        type='WeakLabelDataset',
        data_root={root!r},
        label_file='image_labels.txt',
        ann_file='train.txt',
        data_prefix=dict(img_path='images'),
        pipeline=[dict(type='LoadWeakImage')]))
"""


def write_photograph(rng, path):
    """Write a JPEG file whose size in bytes is that of a photograph."""
    width, height = SIZES[rng.integers(len(SIZES))]
    coarse = rng.integers(0, 256, (height // 20, width // 20, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.BICUBIC)
    noise = rng.normal(0, 14, (height, width, 3))
    image = Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))
    image.filter(ImageFilter.GaussianBlur(0.7)).save(path, quality=90)


def write_synthetic(root, num_images):
    """Write the data; return the config and the number of broken images."""
    rng = np.random.default_rng(0)
    for folder in ('distinct', 'images'):
        (root / folder).mkdir(parents=True)
    sources = [root / f'distinct/{i}.jpg' for i in range(DISTINCT)]
    for path in sources:
        write_photograph(rng, path)
    labels, num_broken = {}, 0
    for i in range(num_images):
        name = f'{i:08d}'
        source, path = sources[i % DISTINCT], root / f'images/{name}.jpg'
        if rng.random() < BROKEN:
            content = source.read_bytes()
            path.write_bytes(content[:rng.integers(len(content))])
            num_broken += 1
        else:
            os.link(source, path)
        shown = rng.random(len(CLASSES)) < 0.1
        labels[name] = tuple(np.array(CLASSES)[shown].tolist())
    write_label_file(str(root / 'image_labels.txt'), CLASSES, labels)
    (root / 'train.txt').write_text('\n'.join(labels) + '\n')
    config = root / 'config.py'
    config.write_text(CONFIG.format(root=str(root)))
    return config, num_broken


def measure(config, workers):
    """Run the check: its time, its memory in MB, and what it finds."""
    found = config.with_name('check.json')
    options = f'--split train --workers {workers} --json {found}'.split()
    start = time.monotonic()
    subprocess.run([sys.executable, TOOL, config, *options],
                   stdout=subprocess.DEVNULL,
                   env=dict(os.environ, PYTHONPATH=str(ROOT)))
    seconds = time.monotonic() - start
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    findings = json.loads(found.read_text())['splits']['train']['findings']
    broken = {f['name'] for f in findings if f['fatal']}
    return dict(
        seconds=round(seconds, 1),
        memory_mb=round(memory),
        broken_found=len(broken))


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='a new folder to fill')
    parser.add_argument('--images', type=int, default=50000)
    parser.add_argument('--workers', type=int, default=2)
    args = parser.parse_args(argv)
    config, num_broken = write_synthetic(args.folder, args.images)
    print(
        json.dumps(
            dict(
                images=args.images,
                broken=num_broken,
                workers=args.workers,
                **measure(config, args.workers)),
            indent=2))


if __name__ == '__main__':
    main()
