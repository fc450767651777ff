# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make voc6, a part of PASCAL VOC 2012 that a CPU can train on.

It has the photographs that show a cat, cow, dog, horse or sheep, at most 400
pixels wide and high, from the data set that voc_aug.py made:

    python tools/dataset_converters/voc6.py data/voc6 \\
        --voc data/VOCdevkit/VOC2012

These animals and person are the classes 1 to 6, in alphabetical order.
Objects of VOC's other classes are 255 (ignored). VOC's augmented list becomes
train, and its list val stays val.
"""
import argparse
from functools import partial
from pathlib import Path

ANIMALS = ('cat', 'cow', 'dog', 'horse', 'sheep')
CLASSES = tuple(sorted((*ANIMALS, 'person')))
LONG_SIDE = 400  # pixels
QUALITY = 85  # of the JPEG files

IMAGE = 'JPEGImages/{}.jpg'
MASK = 'SegmentationClassAug/{}.png'
LIST = 'ImageSets/Segmentation/{}.txt'


def convert(voc: Path, root: Path, name: str):
    """Write a photograph of an animal and its mask, and return the tags."""
    import numpy as np
    from PIL import Image

    from mmseg_afa.datasets import PascalVOCWeakDataset
    from mmseg_afa.datasets.mask_file import (encode_mask, read_mask,
                                              tags_in_mask)
    from mmseg_afa.utils import IGNORE_INDEX, replacing

    voc_classes = PascalVOCWeakDataset.METAINFO['classes']
    mask = read_mask(str(voc / MASK.format(name)), len(voc_classes))
    if not set(tags_in_mask(mask, voc_classes[1:])).intersection(ANIMALS):
        return None
    with Image.open(voc / IMAGE.format(name)) as image:
        photograph = image.convert('RGB')
    photograph.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
    ids = np.full(256, IGNORE_INDEX, np.uint8)  # by VOC's ids
    for new, one in enumerate(('background', *CLASSES)):
        ids[voc_classes.index(one)] = new
    mask = np.asarray(
        Image.fromarray(ids[mask]).resize(photograph.size,
                                          Image.Resampling.NEAREST))
    with replacing(root / IMAGE.format(name)) as unfinished:
        photograph.save(unfinished, 'JPEG', quality=QUALITY)
    with replacing(root / MASK.format(name)) as unfinished:
        unfinished.write_bytes(encode_mask(mask))
    return tags_in_mask(mask, CLASSES)


def make_voc6(root: Path, voc: Path) -> None:
    """Make the data set; the arguments are those of the command line."""
    from mmseg_afa.datasets import write_label_file
    from mmseg_afa.datasets.label_file import read_image_list, write_image_list
    from mmseg_afa.utils import parallel_map

    tags = {}
    for split, source in (('train', 'trainaug'), ('val', 'val')):
        names = read_image_list(str(voc / LIST.format(source)))
        for path in (IMAGE, MASK, LIST):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
        found = parallel_map(
            partial(convert, voc, root),
            names,
            description=f'Converting {split}')
        chosen = {n: t for n, t in zip(names, found) if t is not None}
        write_image_list(str(root / LIST.format(split)), list(chosen))
        tags.update(chosen)
        print(f'{split}: {len(chosen):,} of {len(names):,} photographs')
    write_label_file(str(root / 'image_labels.txt'), CLASSES, tags)
    print(f'{root} is complete.')


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('root', type=Path, metavar='DATA_ROOT', help='folder to fill')
    add('--voc',
        type=Path,
        required=True,
        help='folder VOC2012 that voc_aug.py completed')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Make the data set that the command line describes."""
    args = parse_args(argv)
    from mmseg_afa.utils import exit_on_user_error
    with exit_on_user_error():
        make_voc6(**vars(args))


if __name__ == '__main__':
    main()
