# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make masks, image lists and the label file of MS COCO 2014.

It needs the annotations only, which say how large the images are, too:

    python tools/dataset_converters/coco2014.py data/coco2014

reads annotations/instances_{train,val}2014.json and makes, in the same folder,

    SegmentationClass/{train,val}2014/*.png   0 background, 1 to 80, 255 ignore
    ImageSets/Segmentation/{train,val}.txt    the images with annotations
    image_labels.txt                          their tags: the classes in masks

Masks that exist are kept: started again after it was stopped, it goes on
where it was.
"""
import argparse
import hashlib
import json
from operator import itemgetter
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

import numpy as np

from mmseg_afa.datasets import (COCO2014WeakDataset, read_label_file,
                                write_label_file)
from mmseg_afa.datasets.image_files import format_names
from mmseg_afa.datasets.label_file import (explain_unknown, read_image_list,
                                           write_image_list)
from mmseg_afa.datasets.mask_file import encode_mask, read_mask, tags_in_mask
from mmseg_afa.utils import (DEFAULT_WORKERS, IGNORE_INDEX, parallel_map,
                             replacing)

try:
    from pycocotools.coco import COCO
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: run `pip install -r requirements/data.txt`, '
                     'which names what this command needs.') from error

CLASSES = COCO2014WeakDataset.METAINFO['classes'][1:]
NUM_IMAGES = dict(train=82081, val=40137)  # as published

# What objects of an image are sorted by, the lowest first, given annotation
# and number of pixels. Where it is equal, the first in the file is on top.
OVERLAP = dict(
    smaller=lambda item, pixels: (not item['iscrowd'], -pixels, item['id']),
    coco2voc=lambda item, pixels: -item['area'],
    category=lambda item, pixels: item['category_id'])


def read_annotations(path: Path) -> Tuple[COCO, Dict[str, int]]:
    """Annotations, and the ids of the images that have any, by their names."""
    try:
        coco = COCO(str(path))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path}: no such file. Get COCO's '2014 Train/Val annotations' "
            f'and unpack them in {path.parents[1]}.') from error
    except (ValueError, AssertionError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: none of COCO's instances_*.json, or a damaged one "
            f'({error!r}). Copy or unpack it again.') from error
    classes = [coco.cats[id]['name'] for id in sorted(coco.cats)]
    for name in classes:
        if name not in CLASSES:
            raise ValueError(f'{path}: {explain_unknown(name, CLASSES)}')
    if classes != list(CLASSES):
        raise ValueError(
            f'{path}: has {len(classes)} categories, by their ids '
            f'{format_names(classes)}, expected the {len(CLASSES)} classes '
            f'{format_names(CLASSES)}, all of them and in this order.')
    images = {}
    for id, (first, *_) in coco.imgToAnns.items():
        if id not in coco.imgs:
            raise ValueError(f"{path}: annotation {first['id']}: belongs to "
                             f"the image {id}, which is not in 'images'.")
        images[Path(coco.imgs[id]['file_name']).stem] = id
    return coco, dict(sorted(images.items()))


def find_region(coco: COCO, item: dict, size: Tuple[int, int]) -> np.ndarray:
    """The pixels of an annotation, bool of shape (H, W)."""
    if isinstance(item['segmentation'], list):
        # COCO's files have polygons of less than three points. pycocotools
        # takes some of them for boxes and refuses others.
        polygons = [part for part in item['segmentation'] if len(part) >= 6]
        if not polygons:
            return np.zeros(size, bool)
        item = {**item, 'segmentation': polygons}
    region = coco.annToMask(item).view(bool)
    if region.shape != size:
        raise ValueError(f'it has {region.shape} pixels, its image {size}')
    return region


def draw_mask(coco: COCO, image_id: int, crowd: str, overlap: str,
              where: Path) -> np.ndarray:
    """Draw the mask of an image, uint8 of shape (H, W); ``where`` is for
    messages, the others are options of the command line."""
    number = {id: i for i, id in enumerate(sorted(coco.cats), 1)}
    size = coco.imgs[image_id]['height'], coco.imgs[image_id]['width']
    layers = []
    for item in reversed(coco.imgToAnns[image_id]):
        try:
            region = find_region(coco, item, size)
            key = OVERLAP[overlap](item, np.count_nonzero(region))
            ignored = item['iscrowd'] and crowd == 'ignore'
            value = IGNORE_INDEX if ignored else number[item['category_id']]
        except Exception as error:  # pycocotools raises plain ones
            raise ValueError(f"{where}: annotation {item['id']}: cannot be "
                             f'drawn ({error!r}).') from error
        layers.append((key, value, region))
    mask = np.zeros(size, np.uint8, order='F')  # as annToMask has its own
    for _, value, region in sorted(layers, key=itemgetter(0)):
        np.copyto(mask, value, where=region)
    return np.ascontiguousarray(mask)


def claim_masks(folder: Path, made_from: Dict[str, str],
                overwrite: bool) -> None:
    """Note what masks are made from; those made otherwise are in the way."""
    note = folder / 'parameters.json'
    found = json.loads(note.read_text()) if note.exists() else {}
    if found == made_from:
        return
    masks = list(folder.glob('*.png'))
    if masks and not overwrite:
        differing = [
            f'{key} {found[key]!r}, now {value!r}'
            for key, value in made_from.items()
            if value != found.get(key, value)
        ] or ['not by this command']
        raise ValueError(
            f'{folder}: holds {len(masks)} masks made from something else '
            f'({"; ".join(differing)}). Move them away, or replace them with '
            '--overwrite.')
    for mask in masks:
        mask.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(note) as unfinished:
        unfinished.write_text(json.dumps(made_from, indent=2) + '\n')


def replace_image_list(path: Path, names: Sequence[str],
                       overwrite: bool) -> None:
    """Write an image list, unless one of other images is in the way."""
    listed = read_image_list(str(path)) if path.exists() else names
    if set(listed) != set(names) and not overwrite:
        raise ValueError(
            f'{path}: names {len(listed)} images, which are others than the '
            f'{len(names)} with annotations. Move it away, or replace it '
            'with --overwrite.')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image_list(path, names)


def add_labels(path: Path, made: Dict[str, Tuple[str, ...]],
               overwrite: bool) -> None:
    """Add lines to the label file, and keep those of other images."""
    labels = read_label_file(str(path), CLASSES)[1] if path.exists() else {}
    differing = [
        name for name, tags in made.items()
        if set(labels.get(name, tags)) != set(tags)
    ]
    if differing and not overwrite:
        raise ValueError(
            f'{path}: has other tags than the masks show for '
            f'{format_names(differing)}. Move it away, or replace its lines '
            'with --overwrite; the masks stay.')
    labels.update(made)
    write_label_file(str(path), CLASSES, dict(sorted(labels.items())))


def convert(root: Path, split: str, crowd: str, overlap: str, workers: int,
            overwrite: bool) -> None:
    """Make masks, image list and labels of a split."""
    file = root / f'annotations/instances_{split}2014.json'
    folder = root / f'SegmentationClass/{split}2014'
    coco, images = read_annotations(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    claim_masks(folder,
                dict(annotations_sha256=digest, crowd=crowd, overlap=overlap),
                overwrite)
    replace_image_list(root / f'ImageSets/Segmentation/{split}.txt',
                       list(images), overwrite)

    def make_mask(name):
        path = folder / f'{name}.png'
        if not path.exists():
            mask = draw_mask(coco, images[name], crowd, overlap, file)
            with replacing(path) as unfinished:
                unfinished.write_bytes(encode_mask(mask))
        else:
            mask = read_mask(str(path), len(CLASSES) + 1)
        return tags_in_mask(mask, CLASSES)

    tags = parallel_map(make_mask, list(images), workers, f'Drawing {split}')
    labels = dict(zip(images, tags))
    add_labels(root / 'image_labels.txt', labels, overwrite)

    annotated = {(name, coco.cats[item['category_id']]['name'])
                 for name, id in images.items()
                 for item in coco.imgToAnns[id]
                 if crowd == 'class' or not item['iscrowd']}
    shown = {(name, tag) for name, tags in labels.items() for tag in tags}
    published = NUM_IMAGES[split]
    print(f'{split}: {len(images)} images with annotations, ' +
          ('as published.' if len(images) == published else
           f'but {published} were published: these are other annotations, or '
           'a part of them.'))
    print(f'{split}: {len(shown)} tags; {len(annotated - shown)} more are '
          'annotated where no pixel of the mask shows them.')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('data_root', type=Path, help="the folder with 'annotations' in it")
    parts = dict(nargs='+', choices=NUM_IMAGES, default=list(NUM_IMAGES))
    add('--splits', **parts, help='which parts to make (default: both)')
    add('--overlap',
        choices=OVERLAP,
        default='smaller',
        help='what is on top: the object of fewer pixels, that of the smaller '
        "'area' in the annotations (as coco2voc has it), or that of the "
        'highest category id (default: %(default)s)')
    add('--crowd',
        choices=('ignore', 'class'),
        help='draw regions with a crowd of objects as 255, or as their class '
        '(default: ignore with --overlap smaller, which has them below all '
        'objects; class with the others, which treat them as objects)')
    add('--workers', type=int, default=DEFAULT_WORKERS)
    add('--overwrite',
        action='store_true',
        help='replace masks that were made from something else, lists of '
        'other images, and other tags')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Convert what the command line names."""
    args = parse_args(argv)
    crowd = args.crowd or ('ignore' if args.overlap == 'smaller' else 'class')
    try:
        for split in dict.fromkeys(args.splits):
            convert(args.data_root, split, crowd, args.overlap, args.workers,
                    args.overwrite)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    print(f'{args.data_root}: complete.')


if __name__ == '__main__':
    main()
