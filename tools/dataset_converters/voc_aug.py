# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make PASCAL VOC 2012 with augmented masks: all that training needs.

From VOC's archive and SBD's, as they were downloaded:

    python tools/dataset_converters/voc_aug.py data/VOCdevkit/VOC2012 \\
        --voc VOCtrainval_11-May-2012.tar --sbd benchmark.tgz

Leave out --voc if VOC is unpacked already. SegmentationClassAug.zip, which has
the masks as PNG files, can replace SBD:

    python tools/dataset_converters/voc_aug.py data/VOCdevkit/VOC2012 \\
        --aug SegmentationClassAug.zip

An interrupted run can be started again, and continues.
"""
import argparse
import re
import tarfile
import zipfile
import zlib
from functools import partial
from gzip import BadGzipFile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

NUM_CLASSES = 21  # background included
IMAGE = 'JPEGImages/{}.jpg'
OWN_MASK = 'SegmentationClass/{}.png'  # VOC's, for its own train and val
MASK = 'SegmentationClassAug/{}.png'
LIST = 'ImageSets/Segmentation/{}.txt'

# The files that are needed, and the group of their path that names them in
# the data set. An archive may hold VOC2007, and macOS's notes ('._NAME').
VOC_FILE = re.compile(
    r'(?:(?:.*/)?VOC2012[^/]*/|\./)?('
    r'(?:JPEGImages|Annotations|SegmentationClass)/[^/.][^/]*|'
    r'ImageSets/Segmentation/(?:train|val|trainval)\.txt)')
SBD_MASK = re.compile(r'(?:.*/)?cls/([^/.][^/]*)\.mat')
AUG_MASK = re.compile(r'(?:(?:.*/)?SegmentationClassAug/)?([^/.][^/]*)\.png')


def open_source(source: Path):
    """Yield the path of each file in a folder or an archive, and its reader.
    """
    if source.is_dir():
        for path in filter(Path.is_file, sorted(source.rglob('*'))):
            yield path.relative_to(source).as_posix(), path.read_bytes
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for name in archive.namelist():
                yield name, partial(archive.read, name)
    else:
        with tarfile.open(source) as archive:
            for member in filter(tarfile.TarInfo.isfile, archive):
                yield member.name, archive.extractfile(member).read


def read_files(source: Path, pattern: re.Pattern):
    """Read the files whose path matches, without unpacking.

    Yields:
        tuple: The pattern's group; where the file is; its content.
    """
    from mmseg_afa.utils import UserError, progress

    if not source.exists():
        raise UserError(f'{source}: no such file or folder.')
    try:
        for name, read in progress(
                open_source(source), f'Reading {source.name}'):
            match = pattern.fullmatch(name)
            if match:
                yield match[1], f'{source}/{name}', read()
    except (tarfile.TarError, zipfile.BadZipFile, BadGzipFile, zlib.error,
            EOFError) as error:
        raise UserError(f'{source}: not a tar or zip file, or a damaged one '
                        f'({error}). Download it again.') from error


def write(path: Path, content: bytes, overwrite: bool, meaning=bytes) -> None:
    """Write a file, or keep one whose content has the same meaning."""
    from mmseg_afa.utils import UserError, replacing

    if path.exists() and not overwrite:
        if meaning(path.read_bytes()) != meaning(content):
            raise UserError(f'{path}: differs from what would be written. '
                            'Move it away, or replace it by --overwrite.')
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def read_sbd_mask(content: bytes, where: str):
    """Decode a file of SBD's folder ``cls``, uint8 (H, W) of VOC's class ids.

    Source: http://home.bharathh.info/pubs/codes/SBD/download.html
    """
    import numpy as np
    from scipy.io import loadmat

    variables = loadmat(BytesIO(content), variable_names=['GTcls'])
    return np.ascontiguousarray(variables['GTcls']['Segmentation'][0, 0])


def add_masks(root: Path, own, source: Path, pattern: re.Pattern,
              overwrite: bool) -> None:
    """Write masks to SegmentationClassAug: VOC's `own`, others of `source`."""
    from mmseg_afa.datasets.mask_file import (decode_mask, encode_mask,
                                              read_mask)
    from mmseg_afa.utils import progress

    def read_png(content, where):
        return decode_mask(content, where, NUM_CLASSES)

    def add(name, mask):
        path = root / MASK.format(name)
        write(path, encode_mask(mask), overwrite,
              lambda content: read_png(content, str(path)).tolist())

    for name in progress(sorted(own), "Copying VOC's masks"):
        add(name, read_mask(str(root / OWN_MASK.format(name)), NUM_CLASSES))
    read = read_sbd_mask if pattern is SBD_MASK else read_png
    for name, where, content in read_files(source, pattern):
        if name not in own:
            add(name, read(content, where))


def check_pair(root: Path, name: str) -> tuple:
    """Return the tags in a mask, and a message if it does not fit its image.
    """
    from PIL import Image

    from mmseg_afa.datasets import PascalVOCWeakDataset
    from mmseg_afa.datasets.mask_file import read_mask, tags_in_mask
    from mmseg_afa.utils import UserError

    path = root / MASK.format(name)
    try:
        mask = read_mask(str(path), NUM_CLASSES)
        with Image.open(root / IMAGE.format(name)) as image:
            size = image.size[::-1]  # from the header
    except (OSError, UserError) as error:
        return (), str(error)
    if mask.shape != size:
        return (), f'{path}: has shape {mask.shape}, its image {size}'
    return tags_in_mask(mask, PascalVOCWeakDataset.METAINFO['classes'][1:]), ''


def write_lists(root: Path, train: list, val: list, overwrite: bool,
                workers: int) -> None:
    """Check all images and masks; write training list and label file."""
    from mmseg_afa.datasets import (PascalVOCWeakDataset, read_label_file,
                                    write_label_file)
    from mmseg_afa.utils import UserError, parallel_map

    tags, problems = zip(*parallel_map(
        partial(check_pair, root), train + val, workers, 'Checking'))
    problems = list(filter(None, problems))
    if problems:
        raise UserError('\n'.join(problems[:5]) +
                        f'\n{len(problems)} of {len(tags)} pairs of image '
                        'and mask cannot be used. No list was written.')
    print(f'{len(train):,} training and {len(val):,} validation images, as '
          'expected; every mask fits its image.')
    write(root / LIST.format('trainaug'), '\n'.join([*train, '']).encode(),
          overwrite, lambda content: sorted(content.split()))
    classes = PascalVOCWeakDataset.METAINFO['classes'][1:]
    labels = dict(zip(train, tags))
    label_file = root / 'image_labels.txt'
    if not label_file.exists() or overwrite:
        write_label_file(str(label_file), classes, labels)
    elif read_label_file(str(label_file)) != (classes, labels):
        raise UserError(f'{label_file}: has other tags than the masks show. '
                        'Move it away, or replace it by --overwrite.')


def make_voc_aug(root: Path, voc, sbd, aug, expect, overwrite: bool,
                 workers: int) -> None:
    """Make the data set; the arguments are those of the command line."""
    from mmseg_afa.datasets.label_file import read_image_list
    from mmseg_afa.utils import UserError

    if sbd and not find_spec('scipy'):
        raise UserError('--sbd needs SciPy. Run `pip install -r '
                        'requirements/data.txt`.')
    for name, _, content in read_files(voc, VOC_FILE) if voc else ():
        write(root / name, content, overwrite)
    lists = [root / LIST.format(split) for split in ('train', 'val')]
    for path in lists:
        if not path.is_file():
            raise UserError(
                f'{path}: no such file. Correct {root}, the folder VOC2012, '
                'or add --voc VOCtrainval_11-May-2012.tar.')
    own_train, val = (read_image_list(str(path)) for path in lists)
    source, pattern = (sbd, SBD_MASK) if sbd else (aug, AUG_MASK)
    more = {name for name, _, _ in read_files(source, pattern)}
    train = sorted(more.union(own_train).difference(val))
    if [len(train), len(val)] != list(expect):
        raise UserError(
            f'found {len(train):,} training and {len(val):,} validation '
            f'images, expected {expect[0]:,} and {expect[1]:,}. {source} has '
            f'{len(more):,} masks, of which {len(more.intersection(val)):,} '
            'are for validation. An archive is incomplete, or another one. '
            'For a part of the data set, give the numbers by --expect.')
    add_masks(root, {*own_train, *val}, source, pattern, overwrite)
    write_lists(root, train, val, overwrite, workers)
    print(f'{root} is complete.')


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('root', type=Path, metavar='DATA_ROOT', help='folder to complete')
    add('--voc',
        type=Path,
        help='VOCtrainval_11-May-2012.tar, or a folder to copy from')
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        '--sbd', type=Path, help='benchmark.tgz, or its unpacked folder')
    source.add_argument(
        '--aug', type=Path, help='SegmentationClassAug.zip, or its folder')
    add('--expect',
        type=int,
        nargs=2,
        metavar=('TRAIN', 'VAL'),
        default=(10582, 1449),
        help='numbers of images (default: %(default)s)')
    add('--overwrite', action='store_true', help='replace differing files')
    add('--workers', type=int, default=8, help='threads (default: 8)')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Make the data set that the command line describes."""
    args = parse_args(argv)
    from mmseg_afa.utils import UserError
    try:
        make_voc_aug(**vars(args))
    except UserError as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
