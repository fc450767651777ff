# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make PASCAL VOC 2012 with augmented masks: all that training needs.

From VOC's archive and SBD's, as they were downloaded:

    python tools/dataset_converters/voc_aug.py data/VOCdevkit/VOC2012 \\
        --voc VOCtrainval_11-May-2012.tar --sbd benchmark.tgz

Without --voc, VOC is there already, unpacked. SegmentationClassAug.zip, which
has the masks as PNG files, can take the place of SBD:

    python tools/dataset_converters/voc_aug.py data/VOCdevkit/VOC2012 \\
        --aug SegmentationClassAug.zip

A run that was stopped can be started again, and goes on.
"""
import argparse
import re
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import (Callable, Dict, Iterable, Iterator, List, NamedTuple,
                    Optional, Sequence, Set, Tuple, Union)

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from mmseg_afa.datasets import (PascalVOCWeakDataset, read_label_file,
                                write_label_file)
from mmseg_afa.datasets.image_list import (check_name, find_missing, first_few,
                                           read_image_list)
from mmseg_afa.datasets.mask_file import (PALETTE, decode_mask, encode_mask,
                                          read_mask, tags_in_mask)
from mmseg_afa.datasets.sbd import decode_sbd_mask
from mmseg_afa.utils import (add_workers, parallel_map, positive, read_members,
                             replacing)

CLASSES = PascalVOCWeakDataset.METAINFO['classes']
EXPECTED = (10582, 1449)  # images to train and to validate on
SHOWN = 5  # problems that are written out

IMAGE = 'JPEGImages/{}.jpg'
ANNOTATION = 'Annotations/{}.xml'
OWN_MASK = 'SegmentationClass/{}.png'  # VOC's, for its own train and val
MASK = 'SegmentationClassAug/{}.png'
LIST = 'ImageSets/Segmentation/{}.txt'
LABELS = 'image_labels.txt'

# The files of the archives that are needed, and the part of their path that
# counts. Names that start with a dot are notes of macOS.
VOC_FILE = re.compile(r'(?:.*/)?('
                      r'JPEGImages/[^/.][^/]*\.jpg|'
                      r'Annotations/[^/.][^/]*\.xml|'
                      r'SegmentationClass/[^/.][^/]*\.png|'
                      r'ImageSets/Segmentation/(?:train|val|trainval)\.txt)')
SBD_LIST = re.compile(r'(?:(?:.*/)?dataset/)?(train|val)\.txt')
SBD_MASK = re.compile(r'(?:.*/)?cls/([^/.][^/]*)\.mat')
AUG_MASK = re.compile(r'(?:(?:.*/)?SegmentationClassAug/)?([^/.][^/]*)\.png')

Labels = Dict[str, Tuple[str, ...]]
Decoder = Callable[[bytes, str], Tuple[np.ndarray, bytes]]


class Pair(NamedTuple):
    """What is found of an image and its mask."""
    tags: Tuple[str, ...] = ()
    coloured: bool = False  # whether the mask has VOC's palette
    problem: Optional[str] = None


def write_bytes(path: Path, read: Callable[[], bytes]) -> None:
    """Write a file, and make its folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_bytes(read())


def place(path: Path, is_wanted: Callable[[Path], bool],
          write: Callable[[Path], None], overwrite: bool) -> bool:
    """Write a file, unless there is one.

    Args:
        path (Path): The file.
        is_wanted (Callable): Whether the file that is there is the one that
            would be written. A ValueError means it is not.
        write (Callable): Writes it.
        overwrite (bool): Replace one that is not wanted.

    Returns:
        bool: Whether one that is not wanted is in the way.
    """
    if path.exists():
        try:
            wanted = is_wanted(path)
        except ValueError:
            wanted = False
        if wanted or not overwrite:
            return not wanted
    write(path)
    return False


def refuse(in_the_way: Sequence[Path]) -> None:
    """Raise FileExistsError if there are files in the way."""
    if in_the_way:
        raise FileExistsError(
            f'{len(in_the_way)} files are there that differ from what would '
            f'be written: {first_few(list(map(str, in_the_way)))}. Move them '
            'away, or add --overwrite to replace them.')


def unpack_voc(source: Path, root: Path, overwrite: bool) -> None:
    """Write what is needed of VOC's archive, or of a folder, to ``root``."""
    for folder in ('VOCdevkit/VOC2012', 'VOC2012'):
        if (source / folder).is_dir():
            source = source / folder
    found, in_the_way = 0, []
    for member in read_members(source, VOC_FILE.fullmatch, 'Unpacking VOC'):
        found += 1
        path = root / VOC_FILE.fullmatch(member.name)[1]
        if place(path, lambda path: path.stat().st_size == member.size,
                 partial(write_bytes, read=member.read), overwrite):
            in_the_way.append(path)
    if not found:
        raise ValueError(f'{source}: holds no file of VOC, such as '
                         'JPEGImages/2007_000032.jpg. Give it '
                         'VOCtrainval_11-May-2012.tar.')
    refuse(in_the_way)


def read_voc_list(root: Path, split: str) -> List[str]:
    """Read VOC's list 'train' or 'val'."""
    path = root / LIST.format(split)
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: no such file. Correct {root}, where VOC 2012 shall be, '
            'or unpack it there by --voc VOCtrainval_11-May-2012.tar.')
    return read_image_list(str(path))


def sbd_names(source: Path) -> Set[str]:
    """The images of SBD, in both of its lists."""
    names, found = set(), set()
    for member in read_members(source, SBD_LIST.fullmatch, 'Looking into SBD'):
        listed = member.read().decode(errors='replace').split()
        for name in listed:
            check_name(f'{source}/{member.name}', name)
        names.update(listed)
        found.add(SBD_LIST.fullmatch(member.name)[1])
    if found != {'train', 'val'}:
        raise ValueError(
            f'{source}: has no dataset/train.txt and dataset/val.txt. Give '
            'it benchmark.tgz, or its folder with train.txt, val.txt and cls.')
    return names


def aug_names(source: Path) -> Set[str]:
    """The images whose masks are in a folder or an archive."""
    names = {
        AUG_MASK.fullmatch(member.name)[1]
        for member in read_members(source, AUG_MASK.fullmatch)
    }
    if not names:
        raise ValueError(
            f'{source}: has no masks. Give it SegmentationClassAug.zip, or a '
            'folder of PNG files.')
    return names


def check_counts(train: List[str], val: List[str], own_train: List[str],
                 more: Set[str], expected: Sequence[int]) -> None:
    """Raise ValueError if the lists are not as long as they should be."""
    if [len(train), len(val)] != list(expected):
        raise ValueError(
            f'found {len(train):,} training and {len(val):,} validation '
            f'images, expected {expected[0]:,} and {expected[1]:,}. VOC lists '
            f'{len(own_train):,} to train on, the other source has '
            f'{len(more):,}, of which {len(more.intersection(val)):,} are to '
            'validate on. An archive is incomplete, or another one. For a '
            'part of the data set, give the numbers by --expect.')


def from_mat(content: bytes, where: str) -> Tuple[np.ndarray, bytes]:
    """Decode a mask of SBD; return it and the PNG file to write."""
    mask = decode_sbd_mask(content, where)
    return mask, encode_mask(mask)


def from_png(content: bytes, where: str) -> Tuple[np.ndarray, bytes]:
    """Decode a PNG mask; return it and the PNG file to write.

    That is the same file if it has VOC's palette.
    """
    mask = decode_mask(content, where, len(CLASSES))
    if is_coloured(BytesIO(content)):
        return mask, content
    return mask, encode_mask(mask)


def is_coloured(file: Union[str, BytesIO]) -> bool:
    """Whether a mask has VOC's palette."""
    used = slice(3 * len(CLASSES))
    with Image.open(file) as image:
        return image.mode == 'P' and image.getpalette()[used] == PALETTE[used]


def add_mask(task: Tuple[str, str, bytes], decode: Decoder, root: Path,
             overwrite: bool) -> Optional[Path]:
    """Write a mask; return its path if another one is in the way."""
    name, where, content = task
    mask, png = decode(content, where)

    def is_wanted(path):
        return np.array_equal(read_mask(str(path), len(CLASSES)), mask)

    path = root / MASK.format(name)
    blocked = place(path, is_wanted, partial(write_bytes, read=lambda: png),
                    overwrite)
    return path if blocked else None


def add_masks(tasks: Iterable[Tuple[str, str, bytes]], decode: Decoder,
              total: int, description: str, root: Path, overwrite: bool,
              workers: int) -> None:
    """Write masks to SegmentationClassAug.

    Args:
        tasks (Iterable): Name, file and content of each mask.
        decode (Callable): Makes the mask and the PNG file to write of them.
        total (int): Number of tasks.
        description (str): Stands before the progress bar.
        root (Path): The data set.
        overwrite (bool): Replace masks that differ.
        workers (int): Number of processes.

    Raises:
        FileExistsError: If masks are there that differ.
        ValueError: If one cannot be decoded.
    """
    add = partial(add_mask, decode=decode, root=root, overwrite=overwrite)
    blocked = parallel_map(add, list(tasks), workers, description)
    refuse([path for path in blocked if path])


def mask_tasks(source: Path, pattern: re.Pattern,
               names: Set[str]) -> Iterator[Tuple[str, str, bytes]]:
    """Read the masks of some images: name, file and content."""
    left = set(names)
    for member in read_members(source, pattern.fullmatch):
        name = pattern.fullmatch(member.name)[1]
        if name in left:
            left.remove(name)
            yield name, f'{source}/{member.name}', member.read()


def own_mask_tasks(root: Path,
                   names: List[str]) -> Iterator[Tuple[str, str, bytes]]:
    """Read VOC's own masks: name, file and content."""
    paths = [root / OWN_MASK.format(name) for name in names]
    missing = find_missing(list(map(str, paths)))
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} masks of VOC are missing: '
            f'{first_few(missing)}. Unpack them by '
            '--voc VOCtrainval_11-May-2012.tar.')
    for name, path in zip(names, paths):
        yield name, str(path), path.read_bytes()


def check_pair(name: str, root: Path) -> Pair:
    """Check a mask and its image, of which only the header is read."""
    image_path = str(root / IMAGE.format(name))
    mask_path = str(root / MASK.format(name))
    try:
        mask = read_mask(mask_path, len(CLASSES))
        with Image.open(image_path) as image:
            size = image.size[::-1]
    except (OSError, ValueError) as error:
        return Pair(problem=str(error))
    if mask.shape != size:
        return Pair(problem=f'{mask_path}: has shape {mask.shape}, its image '
                    f'{size}')
    return Pair(tags_in_mask(mask, CLASSES[1:]), is_coloured(mask_path))


def check(root: Path, train: List[str], val: List[str],
          expected: Sequence[int], workers: int) -> Labels:
    """Check all images and masks, and print a table of what is found.

    Args:
        root (Path): The data set.
        train (list[str]): Names of the training images.
        val (list[str]): Names of the validation images.
        expected (Sequence[int]): How many there should be of both.
        workers (int): Number of processes.

    Returns:
        dict[str, tuple[str]]: The tags of each training image.

    Raises:
        ValueError: If something is not as it should be.
    """
    pairs = list(
        parallel_map(
            partial(check_pair, root=root),
            train + val,
            workers,
            description='Checking'))
    problems = [pair.problem for pair in pairs if pair.problem]
    rows = [
        ('training images', len(train), expected[0]),
        ('validation images', len(val), expected[1]),
        ('images in both', len(set(train).intersection(val)), 0),
        ('pairs that do not fit', len(problems), 0),
        ("masks in VOC's colours", sum(pair.coloured for pair in pairs), None),
    ]
    table = Table('', 'found', 'expected')
    for what, found, wanted in rows:
        table.add_row(what, f'{found:,}',
                      'any' if wanted is None else f'{wanted:,}')
    Console().print(table)
    if problems:
        raise ValueError('\n'.join(problems[:SHOWN]) +
                         f'\n{len(problems)} of {len(pairs)} pairs of image '
                         'and mask cannot be used. No list was written.')
    return {name: pair.tags for name, pair in zip(train, pairs)}


def write_lists(root: Path, labels: Labels, overwrite: bool) -> None:
    """Write trainaug.txt and the label file."""

    def same_names(path):
        return set(read_image_list(str(path))) == set(labels)

    def same_labels(path):
        return read_label_file(str(path)) == (CLASSES[1:], labels)

    def write_labels(path):
        write_label_file(str(path), CLASSES[1:], labels)

    write_names = partial(write_bytes, read='\n'.join([*labels, '']).encode)
    files = ((root / LIST.format('trainaug'), same_names, write_names),
             (root / LABELS, same_labels, write_labels))
    refuse([file[0] for file in files if place(*file, overwrite)])


def make_voc_aug(data_root: Path, voc: Optional[Path], sbd: Optional[Path],
                 aug: Optional[Path], expect: Sequence[int], overwrite: bool,
                 workers: int) -> None:
    """Make the data set.

    Args:
        data_root (Path): Where it shall be, or VOC is already.
        voc (Path, optional): VOC's archive, or a folder to copy it from.
        sbd (Path, optional): SBD's archive or folder.
        aug (Path, optional): Without SBD, the archive or folder of masks.
        expect (Sequence[int]): Number of training and validation images.
        overwrite (bool): Replace files that differ.
        workers (int): Number of processes; the files do not depend on it.

    Raises:
        FileNotFoundError: If an archive, or a file of VOC, is missing.
        FileExistsError: If other files than those wanted are there.
        ValueError: If an archive or what is in it is not what it should be.
    """
    for path in filter(None, (voc, sbd, aug)):
        if not path.exists():
            raise FileNotFoundError(f'{path}: no such file or folder.')
    if voc:
        unpack_voc(voc, data_root, overwrite)
    own_train, val = (
        read_voc_list(data_root, split) for split in ('train', 'val'))
    more = sbd_names(sbd) if sbd else aug_names(aug)
    train = sorted(more.union(own_train).difference(val))
    check_counts(train, val, own_train, more, expect)

    own = sorted({*own_train, *val})
    others = set(train).difference(own)
    jobs = [(own_mask_tasks(data_root, own), from_png, len(own), 'VOC masks')]
    if sbd:
        jobs.append((mask_tasks(sbd, SBD_MASK,
                                others), from_mat, len(others), 'SBD masks'))
    else:
        jobs.append((mask_tasks(aug, AUG_MASK,
                                others), from_png, len(others), 'Other masks'))
    for job in jobs:
        add_masks(*job, data_root, overwrite, workers)

    labels = check(data_root, train, val, expect, workers)
    write_lists(data_root, labels, overwrite)
    print(f'{data_root} is complete.')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'data_root', type=Path, help='the folder to fill, or to complete')
    parser.add_argument(
        '--voc',
        type=Path,
        help='VOCtrainval_11-May-2012.tar, or a folder to copy it from '
        '(default: VOC is in DATA_ROOT already)')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        '--sbd', type=Path, help='benchmark.tgz, or the folder it unpacks to')
    source.add_argument(
        '--aug',
        type=Path,
        help='SegmentationClassAug.zip, or a folder with its masks')
    parser.add_argument(
        '--expect',
        type=positive,
        nargs=2,
        metavar=('TRAIN', 'VAL'),
        default=EXPECTED,
        help='number of images (default: %(default)s)')
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace files that are there and differ')
    add_workers(parser)
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make the data set that the command line describes."""
    try:
        make_voc_aug(**vars(parse_args(argv)))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
