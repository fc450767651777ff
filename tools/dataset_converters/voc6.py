# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make a part of PASCAL VOC 2012 that fits a CPU.

Of the data set that voc_aug.py made, the photographs that show a cat, cow,
dog, horse or sheep, in small:

    python tools/dataset_converters/voc6.py data/voc6 \\
        --voc data/VOCdevkit/VOC2012

These five and the people beside them are classes 1 to 6, in alphabetical
order. Objects of VOC's other classes are ignored. VOC's augmented list becomes
train, its list val stays val.
"""
import argparse
from functools import partial
from pathlib import Path
from typing import Optional, Sequence, Tuple

import numpy as np
from PIL import Image
from voc_aug import CLASSES as VOC_CLASSES
from voc_aug import IMAGE, LIST, MASK

from mmseg_afa.datasets import write_label_file
from mmseg_afa.datasets.label_file import read_image_list, write_image_list
from mmseg_afa.datasets.mask_file import encode_mask, read_mask, tags_in_mask
from mmseg_afa.utils import (DEFAULT_WORKERS, IGNORE_INDEX, parallel_map,
                             replacing)

ANIMALS = ('cat', 'cow', 'dog', 'horse', 'sheep')
CLASSES = tuple(sorted((*ANIMALS, 'person')))
LONG_SIDE = 400  # pixels
QUALITY = 85  # of the JPEG files
NUMBERS = np.full(256, IGNORE_INDEX, np.uint8)  # of classes, by VOC's
NUMBERS[0] = 0
NUMBERS[[VOC_CLASSES.index(name)
         for name in CLASSES]] = np.arange(1,
                                           len(CLASSES) + 1)


def convert(voc: Path, root: Path, name: str) -> Optional[Tuple[str, ...]]:
    """Write a photograph and its mask in small; its tags.

    Returns:
        tuple[str] or None: None if it shows no animal: nothing is written.
    """
    mask = read_mask(str(voc / MASK.format(name)), len(VOC_CLASSES))
    if not set(tags_in_mask(mask, VOC_CLASSES[1:])).intersection(ANIMALS):
        return None
    with Image.open(voc / IMAGE.format(name)) as image:
        photograph = image.convert('RGB')
    photograph.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    small = Image.fromarray(NUMBERS[mask]).resize(photograph.size,
                                                  Image.Resampling.NEAREST)
    mask = np.asarray(small)
    with replacing(root / IMAGE.format(name)) as unfinished:
        photograph.save(unfinished, 'JPEG', quality=QUALITY)
    with replacing(root / MASK.format(name)) as unfinished:
        unfinished.write_bytes(encode_mask(mask))
    return tags_in_mask(mask, CLASSES)


def make_voc6(root: Path, voc: Path, workers: int) -> None:
    """Make the data set; the arguments are those of the command line."""
    for path in (IMAGE, MASK, LIST):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    tags = {}
    for split, source in (('train', 'trainaug'), ('val', 'val')):
        names = read_image_list(str(voc / LIST.format(source)))
        found = parallel_map(
            partial(convert, voc, root), names, workers, f'Converting {split}')
        chosen = {n: t for n, t in zip(names, found) if t is not None}
        write_image_list(str(root / LIST.format(split)), list(chosen))
        tags.update(chosen)
        print(f'{split}: {len(chosen):,} of {len(names):,} photographs')
    write_label_file(str(root / 'image_labels.txt'), CLASSES, tags)
    print(f'{root} is complete.')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('root', type=Path, metavar='DATA_ROOT', help='the folder to fill')
    add('--voc',
        type=Path,
        required=True,
        help='the folder VOC2012 that voc_aug.py completed')
    add('--workers', type=int, default=DEFAULT_WORKERS)
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make the data set that the command line describes."""
    try:
        make_voc6(**vars(parse_args(argv)))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
