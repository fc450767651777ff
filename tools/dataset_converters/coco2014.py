# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make masks, image lists and the label file of MS COCO 2014.

Only the annotations are needed:

    python tools/dataset_converters/coco2014.py data/coco2014

reads annotations/instances_{train,val}2014.json and makes, in the same folder,

    SegmentationClass/{train,val}2014/*.png   0 background, 1 to 80, 255 ignore
    ImageSets/Segmentation/{train,val}.txt    the images with annotations
    image_labels.txt                          their tags: the classes in masks
"""
import argparse
from functools import partial
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path


def read_annotations(path: Path, classes: tuple):
    """Read annotations, and the ids of annotated images by their names."""
    from pycocotools.coco import COCO

    from mmseg_afa.utils import UserError

    if not path.is_file():
        raise UserError(f"{path}: no such file. Get COCO's '2014 Train/Val "
                        f"annotations' and unpack them in {path.parents[1]}.")
    coco = COCO(str(path))
    found = tuple(coco.cats[id]['name'] for id in sorted(coco.cats))
    if found != classes:
        raise UserError(f'{path}: found {len(found)} categories that are not '
                        "COCO's 80 in this order.")
    images = {
        Path(coco.imgs[id]['file_name']).stem: id
        for id in coco.imgToAnns
    }
    return coco, dict(sorted(images.items()))


def find_region(coco, item: dict):
    """Draw an annotation, bool (H, W)."""
    if isinstance(item['segmentation'], list):
        # COCO has polygons of fewer than three points. pycocotools takes some
        # of them for boxes and refuses others.
        polygons = [part for part in item['segmentation'] if len(part) >= 6]
        item = {**item, 'segmentation': polygons or [[0.] * 6]}
    return coco.annToMask(item).view(bool)


def draw_mask(coco, image_id: int, overlap: str):
    """Draw the mask of an image, uint8 (H, W)."""
    import numpy as np

    from mmseg_afa.utils import IGNORE_INDEX

    number = {id: i for i, id in enumerate(sorted(coco.cats), 1)}
    layers = []  # sort key, value and region: the lowest key is drawn first
    for item in reversed(coco.imgToAnns[image_id]):
        region = find_region(coco, item)
        value = number[item['category_id']]
        if overlap == 'coco2voc':  # of equal areas, the file's first is on top
            key = -item['area']
        else:
            key = not item['iscrowd'], -np.count_nonzero(region), item['id']
            value = IGNORE_INDEX if item['iscrowd'] else value
        layers.append((key, value, region))
    size = coco.imgs[image_id]['height'], coco.imgs[image_id]['width']
    mask = np.zeros(size, np.uint8, order='F')  # as annToMask has its own
    for _, value, region in sorted(layers, key=itemgetter(0)):
        np.copyto(mask, value, where=region)
    return np.ascontiguousarray(mask)


def make_mask(coco, images: dict, folder: Path, overlap: str, classes: tuple,
              name: str) -> tuple:
    """Write the mask of an image, and return the tags in the mask."""
    from mmseg_afa.datasets.mask_file import encode_mask, tags_in_mask
    from mmseg_afa.utils import replacing

    mask = draw_mask(coco, images[name], overlap)
    with replacing(folder / f'{name}.png') as unfinished:
        unfinished.write_bytes(encode_mask(mask))
    return tags_in_mask(mask, classes)


def convert(root: Path, split: str, overlap: str, overwrite: bool) -> None:
    """Make the masks and the image list of a split, and add its labels."""
    from mmseg_afa.datasets import (COCO2014WeakDataset, read_label_file,
                                    write_label_file)
    from mmseg_afa.datasets.label_file import write_image_list
    from mmseg_afa.utils import UserError, parallel_map

    classes = COCO2014WeakDataset.METAINFO['classes'][1:]
    folder = root / f'SegmentationClass/{split}2014'
    if folder.exists() and not overwrite:
        raise UserError(f'{folder}: exists. Move it away, or replace its '
                        'masks by --overwrite.')
    coco, images = read_annotations(
        root / f'annotations/instances_{split}2014.json', classes)
    folder.mkdir(parents=True, exist_ok=True)
    tags = parallel_map(
        partial(make_mask, coco, images, folder, overlap, classes),
        list(images),
        description=f'Drawing {split}')
    lists = root / 'ImageSets/Segmentation'
    lists.mkdir(parents=True, exist_ok=True)
    write_image_list(lists / f'{split}.txt', images)
    path, labels = root / 'image_labels.txt', {}
    if path.exists():  # of the other split
        _, labels = read_label_file(str(path), classes)
    labels.update(zip(images, tags))
    write_label_file(str(path), classes, dict(sorted(labels.items())))
    print(f'{split}: {len(images):,} images with annotations.')


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('data_root', type=Path, help="folder with 'annotations' in it")
    add('--splits',
        nargs='+',
        choices=('train', 'val'),
        default=('train', 'val'),
        help='parts to make (default: both)')
    add('--overlap',
        choices=('smaller', 'coco2voc'),
        default='smaller',
        help='which object is on top. smaller: the one with fewer pixels; '
        'crowds are 255, below all objects. coco2voc: the one with the '
        "smaller 'area' in the annotations; crowds are their class (default: "
        '%(default)s)')
    add('--overwrite', action='store_true', help='replace existing masks')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Convert the splits that the command line names."""
    args = parse_args(argv)
    if not find_spec('pycocotools'):
        raise SystemExit('COCO needs pycocotools. Run `pip install -r '
                         'requirements/data.txt`.')
    from mmseg_afa.utils import exit_on_user_error
    with exit_on_user_error():
        for split in args.splits:
            convert(args.data_root, split, args.overlap, args.overwrite)
    print(f'{args.data_root}: complete.')


if __name__ == '__main__':
    main()
