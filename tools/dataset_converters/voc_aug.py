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
import tarfile
import zipfile
import zlib
from functools import partial
from gzip import BadGzipFile
from io import BytesIO
from pathlib import Path
from typing import (Callable, Collection, Dict, Iterator, List, Optional,
                    Sequence, Tuple)

import numpy as np
from PIL import Image

from mmseg_afa.datasets import (PascalVOCWeakDataset, read_label_file,
                                write_label_file)
from mmseg_afa.datasets.image_files import find_missing, format_names
from mmseg_afa.datasets.label_file import read_image_list
from mmseg_afa.datasets.mask_file import (decode_mask, encode_mask, read_mask,
                                          tags_in_mask)
from mmseg_afa.utils import DEFAULT_WORKERS, parallel_map, progress, replacing

try:
    from scipy.io import loadmat
except ModuleNotFoundError as error:
    raise SystemExit(f'{error}: run `pip install -r requirements/data.txt`, '
                     'which names what this command needs.') from error

CLASSES = PascalVOCWeakDataset.METAINFO['classes']
EXPECTED = (10582, 1449)  # images to train and to validate on
SHOWN = 5  # problems that are written out

IMAGE = 'JPEGImages/{}.jpg'
OWN_MASK = 'SegmentationClass/{}.png'  # VOC's, for its own train and val
MASK = 'SegmentationClassAug/{}.png'
LIST = 'ImageSets/Segmentation/{}.txt'

# The files of the archives that are needed, and the part of their path that
# counts. Names that start with a dot are notes of macOS.
# VOC2007 may be beside VOC2012, which Kaggle calls VOC2012_train_val.
VOC_FILE = re.compile(r'(?:(?:.*VOC2012(?:_train_val)?|\.)/)?('
                      r'JPEGImages/[^/.][^/]*\.jpg|'
                      r'Annotations/[^/.][^/]*\.xml|'
                      r'SegmentationClass/[^/.][^/]*\.png|'
                      r'ImageSets/Segmentation/(?:train|val|trainval)\.txt)')
SBD_MASK = re.compile(r'(?:.*/)?cls/([^/.][^/]*)\.mat')
AUG_MASK = re.compile(r'(?:(?:.*/)?SegmentationClassAug/)?([^/.][^/]*)\.png')

decode_png = partial(decode_mask, num_classes=len(CLASSES))


def open_source(source: Path) -> Iterator[Tuple[str, Callable[[], bytes]]]:
    """The paths of the files in an archive or a folder, and their readers."""
    if source.is_dir():
        for path in sorted(source.rglob('*')):
            if path.is_file():
                yield path.relative_to(source).as_posix(), path.read_bytes
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                yield name, partial(archive.read, name)
    else:
        with tarfile.open(source) as archive:
            for member in archive:
                if member.isfile():
                    yield member.name, archive.extractfile(member).read


def read_files(source: Path,
               pattern: re.Pattern) -> Iterator[Tuple[str, str, bytes]]:
    """Read the files whose path matches, one after the other.

    Nothing is unpacked: the caller says where a file goes, not the archive.

    Yields:
        tuple: What the pattern's group holds, path and content of the file.
    """
    try:
        for name, read in progress(
                open_source(source), f'Reading {source.name}'):
            match = pattern.fullmatch(name)
            if match:
                yield match[1], f'{source}/{name}', read()
    except (tarfile.TarError, zipfile.BadZipFile, BadGzipFile, zlib.error,
            EOFError) as error:
        raise ValueError(
            f'{source}: no tar or zip file, or a damaged one ({error}): is '
            'the download complete? Get it again.') from error


def write(path: Path,
          content: bytes,
          overwrite: bool,
          meaning: Callable[[bytes], object] = bytes) -> None:
    """Write a file, or keep one whose content has the same meaning."""
    if path.exists() and not overwrite:
        if meaning(path.read_bytes()) != meaning(content):
            raise FileExistsError(
                f'{path}: differs from what would be written. Move it away '
                'with all that belongs to it, or replace what differs with '
                '--overwrite.')
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def add_voc(source: Path, root: Path, overwrite: bool) -> None:
    """Write what is needed of VOC's archive, or of a folder, to ``root``."""
    name = None
    for name, _, content in read_files(source, VOC_FILE):
        write(root / name, content, overwrite)
    if name is None:
        raise ValueError(f'{source}: holds no file of VOC, such as '
                         'VOC2012/JPEGImages/2007_000032.jpg. Give it '
                         'VOCtrainval_11-May-2012.tar.')


def read_voc_list(root: Path, split: str) -> List[str]:
    """Read VOC's list 'train' or 'val'."""
    path = root / LIST.format(split)
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: no such file. Correct {root}, where VOC 2012 shall be, '
            'or unpack it there by --voc VOCtrainval_11-May-2012.tar.')
    return read_image_list(str(path))


def decode_sbd_mask(content: bytes, where: str) -> np.ndarray:
    """Decode a file of SBD's folder ``cls``, uint8 of shape (H, W).

    Its struct ``GTcls`` has a field ``Segmentation``, the number of a class of
    VOC at each pixel. SBD has no pixels to ignore.

    Source: http://home.bharathh.info/pubs/codes/SBD/download.html
    """
    try:
        variables = loadmat(BytesIO(content), variable_names=['GTcls'])
        return np.ascontiguousarray(variables['GTcls']['Segmentation'][0, 0])
    except Exception as error:  # damage shows in many kinds of errors
        raise ValueError(
            f'{where}: cannot be read as a mask of SBD, a MATLAB file with '
            f'GTcls.Segmentation in it ({error!r}): unpack or download it '
            'again.') from error


def add_masks(root: Path, own: Collection[str], source: Path,
              pattern: re.Pattern, overwrite: bool) -> None:
    """Write VOC's ``own`` masks to SegmentationClassAug, and of those in
    ``source`` the others."""

    def add(name, mask):
        path = root / MASK.format(name)
        write(path, encode_mask(mask), overwrite,
              lambda content: decode_png(content, str(path)).tolist())

    for name in progress(sorted(own), "Copying VOC's masks"):
        add(name, read_mask(str(root / OWN_MASK.format(name)), len(CLASSES)))
    decode = decode_sbd_mask if pattern is SBD_MASK else decode_png
    for name, where, content in read_files(source, pattern):
        if name not in own:
            add(name, decode(content, where))


def check_pair(root: Path, name: str) -> Tuple[Tuple[str, ...], str]:
    """The tags of an image, and what is wrong with it or its mask.

    Of the image only the header is read.
    """
    mask_path = str(root / MASK.format(name))
    try:
        mask = read_mask(mask_path, len(CLASSES))
        with Image.open(root / IMAGE.format(name)) as image:
            size = image.size[::-1]
    except (OSError, ValueError) as error:
        return (), str(error)
    if mask.shape != size:
        return (), f'{mask_path}: has shape {mask.shape}, its image {size}'
    return tags_in_mask(mask, CLASSES[1:]), ''


def check(root: Path, train: List[str], val: List[str],
          workers: int) -> Dict[str, Tuple[str, ...]]:
    """The tags of the training images, if all images and masks are right."""
    pairs = parallel_map(
        partial(check_pair, root), train + val, workers, 'Checking')
    tags, problems = zip(*pairs)
    problems = list(filter(None, problems))
    if problems:
        raise ValueError('\n'.join(problems[:SHOWN]) +
                         f'\n{len(problems)} of {len(tags)} pairs of image '
                         'and mask cannot be used. No list was written.')
    print(f'{len(train):,} training and {len(val):,} validation images, as '
          'expected; every mask fits its image.')
    return dict(zip(train, tags))


def make_voc_aug(root: Path, voc: Optional[Path], sbd: Optional[Path],
                 aug: Optional[Path], expect: Sequence[int], overwrite: bool,
                 workers: int) -> None:
    """Make the data set; the arguments are those of the command line."""
    if voc:
        add_voc(voc, root, overwrite)
    own_train, val = read_voc_list(root, 'train'), read_voc_list(root, 'val')
    source, pattern = (sbd, SBD_MASK) if sbd else (aug, AUG_MASK)
    more = {name for name, _, _ in read_files(source, pattern)}
    train = sorted(more.union(own_train).difference(val))
    if [len(train), len(val)] != list(expect):
        raise ValueError(
            f'found {len(train):,} training and {len(val):,} validation '
            f'images, expected {expect[0]:,} and {expect[1]:,}. VOC lists '
            f'{len(own_train):,} to train on; {source} has {len(more):,} '
            f'masks, of which {len(more.intersection(val)):,} are to validate '
            'on. An archive is incomplete, or another one. For a part of the '
            'data set, give the numbers by --expect.')
    own = {*own_train, *val}
    missing = find_missing([str(root / OWN_MASK.format(n)) for n in own])
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(own)} masks of VOC are missing: '
            f'{format_names(sorted(missing))}. Unpack them by '
            '--voc VOCtrainval_11-May-2012.tar.')
    add_masks(root, own, source, pattern, overwrite)

    labels = check(root, train, val, workers)
    write(root / LIST.format('trainaug'), '\n'.join([*train, '']).encode(),
          overwrite, lambda content: sorted(content.split()))
    label_file = root / 'image_labels.txt'
    if not label_file.exists() or overwrite:
        write_label_file(str(label_file), CLASSES[1:], labels)
    elif read_label_file(str(label_file)) != (CLASSES[1:], labels):
        raise FileExistsError(f'{label_file}: has other tags than the masks '
                              'show. Move it away, or add --overwrite.')
    print(f'{root} is complete.')


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('root',
        type=Path,
        metavar='DATA_ROOT',
        help='the folder to fill, or to complete')
    add('--voc',
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
    add('--expect',
        type=int,
        nargs=2,
        metavar=('TRAIN', 'VAL'),
        default=EXPECTED,
        help='number of images (default: %(default)s)')
    add('--overwrite',
        action='store_true',
        help='replace files that are there and differ')
    add('--workers', type=int, default=DEFAULT_WORKERS)
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make the data set that the command line describes."""
    try:
        make_voc_aug(**vars(parse_args(argv)))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
