# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make masks, image lists and the label file of MS COCO 2014.

It needs the annotations only, which say how large the images are, too:

    python tools/dataset_converters/coco2014.py data/coco2014

reads annotations/instances_{train,val}2014.json and makes, in the same folder,

    SegmentationClass/{train,val}2014/*.png   0 background, 1 to 80, 255 ignore
    ImageSets/Segmentation/{train,val}.txt    the images with annotations
    image_labels.txt                          their tags: the classes in masks

Started again after it was stopped, it goes on where it was.
"""
import argparse
import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mmseg_afa.datasets import (COCO2014WeakDataset, read_label_file,
                                write_label_file)
from mmseg_afa.datasets.image_list import (find_missing, first_few,
                                           read_image_list)
from mmseg_afa.datasets.mask_file import encode_mask, read_mask, shown_classes
from mmseg_afa.utils import add_workers, parallel_map, replacing

try:
    from mmseg_afa.datasets.coco_index import CocoIndex, build_index
    from mmseg_afa.datasets.coco_masks import CocoImage, draw_mask
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: run `pip install -r requirements/data.txt`, '
                     'which names what this command needs.') from error

CLASSES = COCO2014WeakDataset.METAINFO['classes'][1:]
NUM_IMAGES = dict(train=82081, val=40137)  # as published
LABEL_FILE = 'image_labels.txt'

# Raised whenever a change of the code changes the masks, so that those of an
# older recipe are not mixed with current ones.
RECIPE = 1

Labels = Dict[str, Tuple[str, ...]]


class Split(NamedTuple):
    """A part of the data set, and where its files are."""
    name: str
    annotation_file: Path
    mask_folder: Path
    image_list: Path
    parameters_file: Path  # says what the masks were made from
    index: Path
    parameters: dict


def get_split(data_root: Path, name: str, crowd: str) -> Split:
    """Look at the annotations of a split.

    Args:
        data_root (Path): The data set.
        name (str): 'train' or 'val'.
        crowd (str): See :func:`draw_mask`.

    Raises:
        FileNotFoundError: If there are none.
    """
    annotation_file = data_root / f'annotations/instances_{name}2014.json'
    if not annotation_file.is_file():
        raise FileNotFoundError(
            f"{annotation_file}: no such file. Get COCO's '2014 Train/Val "
            f"annotations' and unpack them in {data_root}.")
    digest = hashlib.sha256()
    with open(annotation_file, 'rb') as file:
        for chunk in iter(partial(file.read, 1 << 20), b''):
            digest.update(chunk)
    mask_folder = data_root / f'SegmentationClass/{name}2014'
    return Split(
        name, annotation_file, mask_folder,
        data_root / f'ImageSets/Segmentation/{name}.txt',
        mask_folder / 'parameters.json',
        data_root / f'.coco2014_{name}/{digest.hexdigest()}.sqlite',
        dict(
            recipe=RECIPE, annotations_sha256=digest.hexdigest(), crowd=crowd))


def read_parameters(split: Split) -> dict:
    """What the masks were made from; nothing if that is not known."""
    try:
        return dict(json.loads(split.parameters_file.read_text()))
    except (FileNotFoundError, TypeError, ValueError):
        return {}


def write_parameters(split: Split, **more) -> None:
    """Write down what the masks are made from."""
    with replacing(split.parameters_file) as unfinished:
        unfinished.write_text(
            json.dumps({
                **split.parameters,
                **more
            }, indent=2) + '\n')


def is_complete(split: Split, labels: Labels) -> bool:
    """Whether all files of a split are there.

    Args:
        split (Split): The split.
        labels (dict): What the label file holds.
    """
    found = read_parameters(split)
    if 'images' not in found or not split.image_list.exists():
        return False
    names = read_image_list(str(split.image_list))
    masks = [str(split.mask_folder / f'{name}.png') for name in names]
    return (found == dict(split.parameters, images=len(names))
            and labels.keys() >= set(names) and not find_missing(masks))


def differences(split: Split) -> List[str]:
    """How what the masks there were made from differs from what is asked
    for."""
    found = read_parameters(split)
    if not found:
        return ['not by this command']
    return [
        f'{key} {found.get(key)!r}, now {value!r}'
        for key, value in split.parameters.items() if found.get(key) != value
    ]


def check_masks(split: Split) -> None:
    """Raise ValueError if there are masks made from something else."""
    masks = list(split.mask_folder.glob('*.png'))
    if masks and differences(split):
        raise ValueError(
            f'{split.mask_folder}: holds {len(masks)} masks made from '
            f'something else ({"; ".join(differences(split))}). Move them '
            'away, or replace them with --overwrite.')


def check_image_list(split: Split) -> None:
    """Raise ValueError if there is a list of other images."""
    if not split.image_list.exists():
        return
    listed = read_image_list(str(split.image_list))
    with closing(CocoIndex(split.index)) as index:
        names = index.names()
    if set(listed) != set(names):
        raise ValueError(
            f'{split.image_list}: names {len(listed)} images, which are '
            f'others than the {len(names)} with annotations. Move it away, '
            'or replace it with --overwrite.')


def read_annotations(split: Split) -> None:
    """Make the index of the annotations, unless it is there already."""
    for other in split.index.parent.glob('*.sqlite'):
        if other != split.index:  # of annotations that were here before
            other.unlink()
    if not split.index.exists():
        split.index.parent.mkdir(exist_ok=True)
        build_index(split.annotation_file, split.index, CLASSES,
                    f'Reading {split.name}')


def claim_masks(split: Split) -> None:
    """Remove masks made from something else, and write down what those to
    come are made from."""
    split.mask_folder.mkdir(parents=True, exist_ok=True)
    if differences(split):
        for mask in split.mask_folder.glob('*.png'):
            mask.unlink()
    # Without the number of images: the split is incomplete from here on.
    write_parameters(split)


class Result(NamedTuple):
    """What became of an image."""
    numbers: Tuple[int, ...]  # of the classes in the mask
    hidden: int  # classes that are annotated, but in no pixel of the mask


def make_mask(image: CocoImage, folder: Path, crowd: str,
              where: str) -> Result:
    """Draw and write a mask, or read it if it is there already.

    Args:
        image (CocoImage): The image.
        folder (Path): Where to write.
        crowd (str): See :func:`draw_mask`.
        where (str): The annotation file, for messages.

    Returns:
        Result: What the mask shows.
    """
    path = folder / f'{image.name}.png'
    if path.exists():
        mask = read_mask(str(path), len(CLASSES) + 1)
    else:
        mask = draw_mask(image, crowd, where)
        with replacing(path) as unfinished:
            unfinished.write_bytes(encode_mask(mask))
    numbers = np.flatnonzero(shown_classes(mask, len(CLASSES) + 1)) + 1
    annotated = {
        annotation.number
        for annotation in image.annotations
        if crowd == 'class' or not annotation.iscrowd
    }
    return Result(tuple(numbers.tolist()), len(annotated.difference(numbers)))


def make_masks(split: Split, crowd: str, workers: int) -> Labels:
    """Make the masks of a split that are not there yet.

    Args:
        split (Split): The split.
        crowd (str): See :func:`draw_mask`.
        workers (int): Number of processes.

    Returns:
        dict: The tags of the images that have annotations, sorted by name.

    Raises:
        ValueError: If an annotation cannot be drawn.
    """
    with closing(CocoIndex(split.index)) as index:
        names = index.names()
        results = parallel_map(
            partial(
                make_mask,
                folder=split.mask_folder,
                crowd=crowd,
                where=str(split.annotation_file)),
            list(index.images()),
            workers,
            description=f'Drawing {split.name}')
        labels, hidden = {}, 0
        for result, name in zip(results, names):
            labels[name] = tuple(CLASSES[n - 1] for n in result.numbers)
            hidden += result.hidden
        degenerate = index.num_degenerate()
    published = NUM_IMAGES[split.name]
    print(f'{split.name}: {len(names)} images with annotations, ' +
          ('as published.' if len(names) == published else
           f'but {published} were published: these are other annotations, or '
           'a part of them.'))
    print(f'{split.name}: {sum(map(len, labels.values()))} tags; {hidden} '
          'more are annotated where no pixel of the mask shows them; '
          f'{degenerate} polygons have less than three points.')
    return labels


def read_labels(path: Path) -> Labels:
    """The tags in the label file, none if there is no such file."""
    return read_label_file(str(path), CLASSES)[1] if path.exists() else {}


def add_labels(path: Path, made: Sequence[Labels], overwrite: bool) -> None:
    """Add lines to the label file, and keep those of other images.

    Args:
        path (Path): The label file; it need not exist.
        made (Sequence[dict]): The tags of the images of each split.
        overwrite (bool): Whether tags that differ may be replaced.

    Raises:
        ValueError: If the label file has other tags for these images.
    """
    labels = read_labels(path)
    differing = [
        name for part in made for name, tags in part.items()
        if set(labels.get(name, tags)) != set(tags)
    ]
    if differing and not overwrite:
        raise ValueError(
            f'{path}: has other tags than the masks show for '
            f'{first_few(differing)}. Move it away, or replace its lines '
            'with --overwrite; the masks stay.')
    for part in made:
        labels.update(part)
    write_label_file(str(path), CLASSES, dict(sorted(labels.items())))


def write_image_list(split: Split, names: Iterable[str]) -> None:
    """Write the image list of a split."""
    split.image_list.parent.mkdir(parents=True, exist_ok=True)
    with replacing(split.image_list) as unfinished:
        unfinished.write_bytes(''.join(f'{name}\n' for name in names).encode())


def convert(data_root: str,
            splits: Sequence[str] = ('train', 'val'),
            crowd: str = 'ignore',
            workers: int = 1,
            overwrite: bool = False) -> None:
    """Make masks, image lists and the label file of COCO 2014.

    Args:
        data_root (str): The folder with 'annotations' in it.
        splits (Sequence[str]): Of 'train' and 'val'.
        crowd (str): See :func:`draw_mask`.
        workers (int): Number of processes.
        overwrite (bool): Replace masks made from something else, lists of
            other images, and other tags.

    Raises:
        FileNotFoundError: If annotations are missing.
        ValueError: If they are broken, or something would be replaced that
            is not to be.
    """
    root = Path(data_root)
    label_file = root / LABEL_FILE
    splits = [get_split(root, name, crowd) for name in dict.fromkeys(splits)]
    labels = read_labels(label_file)
    if all(is_complete(split, labels) for split in splits):
        print(f'{root}: complete, nothing to do.')
    else:
        if not overwrite:
            for split in splits:
                check_masks(split)
        for split in splits:
            read_annotations(split)
        if not overwrite:
            for split in splits:
                check_image_list(split)
        for split in splits:
            claim_masks(split)
        made = [make_masks(split, crowd, workers) for split in splits]
        add_labels(label_file, made, overwrite)
        for split, labels in zip(splits, made):
            write_image_list(split, labels)
            write_parameters(split, images=len(labels))
        print(f'{label_file}: made, with masks and image lists.')
    for split in splits:
        shutil.rmtree(split.index.parent, ignore_errors=True)


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'data_root', help="the folder with 'annotations' in it")
    parser.add_argument(
        '--splits',
        nargs='+',
        choices=tuple(NUM_IMAGES),
        default=tuple(NUM_IMAGES),
        help='which parts to make (default: both)')
    parser.add_argument(
        '--crowd',
        choices=('ignore', 'class'),
        default='ignore',
        help='draw regions with a crowd of objects as 255, or as their class '
        '(default: ignore)')
    add_workers(parser)
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace masks that were made from something else, lists of '
        'other images, and other tags')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Convert what the command line names."""
    try:
        convert(**vars(parse_args(argv)))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    except sqlite3.Error as error:
        raise SystemExit(
            f'The database in .coco2014_* of the data set: {error}. Remove '
            'these folders, or make room on the disk.') from error


if __name__ == '__main__':
    main()
