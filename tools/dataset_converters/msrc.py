# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make a small data set of real photographs from MSRC v2.

The object recognition images of Microsoft Research Cambridge: 591 photographs
of 320 x 213 pixels, with masks of 23 classes. From the archive as it was
downloaded, or the folder it unpacks to:

    python tools/dataset_converters/msrc.py data/msrc \\
        --archive msrc_objcategimagedatabase_v2.zip

Fifteen classes of objects are foreground. Building, grass, tree, sky,
mountain, water and road are background; pixels without a label, and horses, of
which there are hardly any, are ignored. Every third photograph of a folder is
held out: of these, in the order of their names, one is for validation (val)
and the next for a final check (test).
"""
import argparse
import re
from io import BytesIO
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from PIL import Image
from voc_aug import read_files

from mmseg_afa.datasets import write_label_file
from mmseg_afa.datasets.image_list import write_image_list
from mmseg_afa.datasets.mask_file import encode_mask, tags_in_mask, voc_palette
from mmseg_afa.utils import IGNORE_INDEX, replacing

CLASSES = ('cow', 'sheep', 'aeroplane', 'face', 'car', 'bicycle', 'flower',
           'sign', 'bird', 'book', 'chair', 'cat', 'dog', 'body', 'boat')
# The colours of the masks, as the archive's own table lists them.
COLOURS = dict(
    void=(0, 0, 0),
    horse=(128, 0, 128),
    building=(128, 0, 0),
    grass=(0, 128, 0),
    tree=(128, 128, 0),
    sky=(128, 128, 128),
    mountain=(64, 0, 0),
    water=(64, 128, 0),
    road=(128, 64, 128),
    cow=(0, 0, 128),
    sheep=(0, 128, 128),
    aeroplane=(192, 0, 0),
    face=(192, 128, 0),
    car=(64, 0, 128),
    bicycle=(192, 0, 128),
    flower=(64, 128, 128),
    sign=(192, 128, 128),
    bird=(0, 64, 0),
    book=(128, 64, 0),
    chair=(0, 192, 0),
    cat=(0, 192, 128),
    dog=(128, 192, 128),
    body=(64, 64, 0),
    boat=(192, 64, 0))
IGNORED = ('void', 'horse')

IMAGE = re.compile(r'(?:.*/)?Images/(\d+_\d+_s)\.bmp')
MASK = re.compile(r'(?:.*/)?GroundTruth/(\d+_\d+_s)_GT\.bmp')
QUALITY = 95  # of the JPEG files


def number_of(name: str) -> int:
    """The number in a mask, of a name of COLOURS."""
    if name in IGNORED:
        return IGNORE_INDEX
    return CLASSES.index(name) + 1 if name in CLASSES else 0


def read_colours(content: bytes, where: str) -> np.ndarray:
    """Decode a mask of MSRC, uint8 of shape (H, W), 0 to 15 or 255.

    Raises:
        ValueError: If it has a colour of no class.
    """
    image = np.asarray(Image.open(BytesIO(content)).convert('RGB'), int)
    colours, inverse = np.unique(
        image @ (1 << 16, 1 << 8, 1), return_inverse=True)
    numbers = {
        red << 16 | green << 8 | blue: number_of(name)
        for name, (red, green, blue) in COLOURS.items()
    }
    unknown = [f'#{colour:06x}' for colour in colours if colour not in numbers]
    if unknown:
        raise ValueError(f'{where}: has colours of no class of MSRC v2: '
                         f'{", ".join(unknown[:3])}. Is it another archive?')
    mask = np.array([numbers[colour] for colour in colours], np.uint8)
    return mask[inverse.reshape(image.shape[:2])]


def split(names: Sequence[str]) -> Dict[str, List[str]]:
    """The lists of photographs, each in the order of their names."""
    names = sorted(names)
    held_out = [n for n in names if int(n.split('_')[1]) % 3 == 0]
    return dict(
        train=[n for n in names if n not in held_out],
        val=held_out[::2],
        test=held_out[1::2])


def write_masks(archive: Path,
                root: Path) -> Iterator[Tuple[str, Tuple[str, ...]]]:
    """Write the masks; yields names and tags."""
    palette = voc_palette(len(CLASSES) + 1)
    folder = root / 'SegmentationClass'
    folder.mkdir(parents=True, exist_ok=True)
    for name, where, content in read_files(archive, MASK):
        mask = read_colours(content, where)
        with replacing(folder / f'{name}.png') as unfinished:
            unfinished.write_bytes(encode_mask(mask, palette))
        yield name, tags_in_mask(mask, CLASSES)


def write_photographs(archive: Path, root: Path) -> Iterator[str]:
    """Write the photographs as JPEG files; yields their names."""
    folder = root / 'JPEGImages'
    folder.mkdir(parents=True, exist_ok=True)
    for name, _, content in read_files(archive, IMAGE):
        with replacing(folder / f'{name}.jpg') as unfinished:
            Image.open(BytesIO(content)).save(unfinished, quality=QUALITY)
        yield name


def make_msrc(root: Path, archive: Path) -> None:
    """Make the data set; the arguments are those of the command line."""
    tags = dict(write_masks(archive, root))
    names = set(write_photographs(archive, root))
    if not names or names != set(tags):
        raise ValueError(
            f'{archive}: has {len(names)} photographs (Images/1_1_s.bmp) and '
            f'{len(tags)} masks (GroundTruth/1_1_s_GT.bmp), and each '
            'photograph needs a mask. Give it '
            'msrc_objcategimagedatabase_v2.zip, as it was downloaded.')
    lists = split(list(names))
    folder = root / 'ImageSets/Segmentation'
    folder.mkdir(parents=True, exist_ok=True)
    for name, members in lists.items():
        write_image_list(str(folder / f'{name}.txt'), members)
    write_label_file(
        str(root / 'image_labels.txt'), CLASSES,
        {name: tags[name]
         for name in sorted(names)})
    counts = ', '.join(f'{len(m)} {name}' for name, m in lists.items())
    print(f'{root} is complete: {counts}.')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('root', type=Path, metavar='DATA_ROOT', help='the folder to fill')
    add('--archive',
        type=Path,
        required=True,
        help='msrc_objcategimagedatabase_v2.zip, or the folder it unpacks to')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make the data set that the command line describes."""
    try:
        make_msrc(**vars(parse_args(argv)))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
