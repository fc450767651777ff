# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make masks, image lists and the label file of MS COCO 2014.

Only the annotations are needed:

    python tools/dataset_converters/coco2014.py data/coco2014

reads annotations/instances_{train,val}2014.json and makes, in the same folder,

    SegmentationClass/{train,val}2014/*.png   0 background, 1 to 80, 255 ignore
    ImageSets/Segmentation/{train,val}.txt    the images with annotations
    image_labels.txt                          their tags: the classes in masks

An interrupted run can be started again, and keeps the masks that exist.
"""
import argparse
import hashlib
import json
from functools import partial
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path

NUM_IMAGES = dict(train=82081, val=40137)  # with annotations, as published

# Sort keys of an image's objects, the lowest object first, by annotation and
# number of pixels. If keys are equal, the first object of the file is on top.
OVERLAP = dict(
    smaller=lambda item, pixels: (not item['iscrowd'], -pixels, item['id']),
    coco2voc=lambda item, pixels: -item['area'],
    category=lambda item, pixels: item['category_id'])


def known_classes() -> tuple:
    """Return COCO's 80 classes in the order of their ids."""
    from mmseg_afa.datasets import COCO2014WeakDataset
    return COCO2014WeakDataset.METAINFO['classes'][1:]


def read_annotations(path: Path):
    """Read annotations.

    Returns:
        tuple: pycocotools' COCO; and the ids of the images with annotations,
        by their names.
    """
    from pycocotools.coco import COCO

    from mmseg_afa.utils import UserError

    if not path.is_file():
        raise UserError(f"{path}: no such file. Get COCO's '2014 Train/Val "
                        f"annotations' and unpack them in {path.parents[1]}.")
    try:
        coco = COCO(str(path))
        found = tuple(coco.cats[id]['name'] for id in sorted(coco.cats))
    except (ValueError, AssertionError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not one of COCO's instances_*.json, or a damaged one "
            f'({error!r}). Copy or unpack it again.') from error
    if found != known_classes():
        raise UserError(f'{path}: found {len(found)} categories that are not '
                        "COCO's 80 in this order.")
    images = {
        Path(coco.imgs[id]['file_name']).stem: id
        for id in coco.imgToAnns
    }
    return coco, dict(sorted(images.items()))


def find_region(coco, item: dict):
    """Draw an annotation, uint8 (H, W) of 0 and 1."""
    if isinstance(item['segmentation'], list):
        # COCO has polygons of fewer than three points. pycocotools takes some
        # of them for boxes and refuses others.
        polygons = [part for part in item['segmentation'] if len(part) >= 6]
        item = {**item, 'segmentation': polygons or [[0.] * 6]}
    return coco.annToMask(item)


def draw_mask(coco, image_id: int, crowd: str, overlap: str):
    """Draw the mask of an image, uint8 (H, W).

    Args:
        coco (COCO): The annotations.
        image_id (int): The image.
        crowd (str): See the command line.
        overlap (str): See the command line.
    """
    import numpy as np

    from mmseg_afa.utils import IGNORE_INDEX

    number = {id: i for i, id in enumerate(sorted(coco.cats), 1)}
    layers = []
    for item in reversed(coco.imgToAnns[image_id]):
        region = find_region(coco, item).view(bool)
        ignored = item['iscrowd'] and crowd == 'ignore'
        layers.append(
            (OVERLAP[overlap](item, np.count_nonzero(region)),
             IGNORE_INDEX if ignored else number[item['category_id']], region))
    size = coco.imgs[image_id]['height'], coco.imgs[image_id]['width']
    mask = np.zeros(size, np.uint8, order='F')  # as annToMask has its own
    for _, value, region in sorted(layers, key=itemgetter(0)):
        np.copyto(mask, value, where=region)
    return np.ascontiguousarray(mask)


def make_mask(coco, images: dict, folder: Path, crowd: str, overlap: str,
              name: str) -> tuple:
    """Make the mask of an image unless it exists; return the tags in it."""
    from mmseg_afa.datasets.mask_file import (encode_mask, read_mask,
                                              tags_in_mask)
    from mmseg_afa.utils import replacing

    path, classes = folder / f'{name}.png', known_classes()
    if path.exists():
        return tags_in_mask(read_mask(str(path), len(classes) + 1), classes)
    mask = draw_mask(coco, images[name], crowd, overlap)
    with replacing(path) as unfinished:
        unfinished.write_bytes(encode_mask(mask))
    return tags_in_mask(mask, classes)


def claim_folder(folder: Path, settings: dict, overwrite: bool) -> None:
    """Note the settings of the masks; refuse masks of other settings."""
    from mmseg_afa.utils import UserError, replacing

    note = folder / 'parameters.json'
    found = json.loads(note.read_text()) if note.exists() else None
    if found == settings:
        return
    masks = list(folder.glob('*.png'))
    if masks and not overwrite:
        raise UserError(
            f'{folder}: holds {len(masks)} masks made with {found}, not with '
            f'{settings}. Move them away, or replace them by --overwrite.')
    for mask in masks:
        mask.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(note) as unfinished:
        unfinished.write_text(json.dumps(settings, indent=2) + '\n')


def write_lists(root: Path, split: str, made: dict, overwrite: bool) -> None:
    """Write the image list, and add its lines to the label file."""
    from mmseg_afa.datasets import read_label_file, write_label_file
    from mmseg_afa.datasets.label_file import read_image_list, write_image_list
    from mmseg_afa.utils import UserError

    path = root / f'ImageSets/Segmentation/{split}.txt'
    label_file = root / 'image_labels.txt'
    names = set(read_image_list(str(path)) if path.exists() else made)
    labels = {}
    if label_file.exists():
        labels = read_label_file(str(label_file), known_classes())[1]
    for file, same in ((path, names == made.keys()),
                       (label_file,
                        all(
                            set(labels.get(name, tags)) == set(tags)
                            for name, tags in made.items()))):
        if not same and not overwrite:
            raise UserError(f'{file}: differs from what would be written. '
                            'Move it away, or replace it by --overwrite. The '
                            'masks stay.')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image_list(path, made)
    labels.update(made)
    write_label_file(
        str(label_file), known_classes(), dict(sorted(labels.items())))


def convert(root: Path, split: str, crowd: str, overlap: str, workers: int,
            overwrite: bool) -> None:
    """Make masks, image list and labels of a split."""
    from mmseg_afa.utils import parallel_map

    file = root / f'annotations/instances_{split}2014.json'
    folder = root / f'SegmentationClass/{split}2014'
    coco, images = read_annotations(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    claim_folder(folder,
                 dict(annotations_sha256=digest, crowd=crowd, overlap=overlap),
                 overwrite)
    tags = parallel_map(
        partial(make_mask, coco, images, folder, crowd, overlap), list(images),
        workers, f'Drawing {split}')
    write_lists(root, split, dict(zip(images, tags)), overwrite)
    published = NUM_IMAGES[split]
    print(f'{split}: {len(images)} images with annotations, ' +
          ('as published.' if len(images) == published else
           f'but {published} were published. These are other annotations, or '
           'a part of them.'))


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('data_root', type=Path, help="folder with 'annotations' in it")
    add('--splits',
        nargs='+',
        choices=NUM_IMAGES,
        default=list(NUM_IMAGES),
        help='parts to make (default: both)')
    add('--overlap',
        choices=OVERLAP,
        default='smaller',
        help='which object is on top: the one with fewer pixels, the one with '
        "the smaller 'area' in the annotations (as coco2voc does), or the one "
        'with the highest category id (default: %(default)s)')
    add('--crowd',
        choices=('ignore', 'class'),
        help='draw crowds of objects as 255, or as their class (default: '
        'ignore with --overlap smaller, which draws crowds below all objects, '
        'otherwise class)')
    add('--workers', type=int, default=8, help='threads (default: 8)')
    add('--overwrite', action='store_true', help='replace differing files')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Convert the splits that the command line names."""
    args = parse_args(argv)
    if not find_spec('pycocotools'):
        raise SystemExit('COCO needs pycocotools. Run `pip install -r '
                         'requirements/data.txt`.')
    from mmseg_afa.utils import UserError
    crowd = args.crowd or ('ignore' if args.overlap == 'smaller' else 'class')
    try:
        for split in dict.fromkeys(args.splits):
            convert(args.data_root, split, crowd, args.overlap, args.workers,
                    args.overwrite)
    except UserError as error:
        raise SystemExit(str(error)) from error
    print(f'{args.data_root}: complete.')


if __name__ == '__main__':
    main()
