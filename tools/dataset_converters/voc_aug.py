# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make PASCAL VOC 2012 with augmented masks: all that training needs.

From VOC's archive and SBD's, as they were downloaded:

    python tools/dataset_converters/voc_aug.py data/VOCdevkit/VOC2012 \\
        --voc VOCtrainval_11-May-2012.tar --sbd benchmark.tgz

Leave out --voc if VOC is unpacked already. `--aug SegmentationClassAug.zip`,
which has the masks as PNG files, can replace --sbd. An interrupted run can be
started again.
"""
import argparse
import re
import tarfile
import zipfile
from functools import partial
from io import BytesIO
from pathlib import Path

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
        for path in filter(Path.is_file, source.rglob('*')):
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
    """Yield group and content of the matching files, without unpacking."""
    from mmseg_afa.utils import UserError, progress

    if not source.exists():
        raise UserError(f'{source}: no such file or folder.')
    try:
        for name, read in progress(
                open_source(source), f'Reading {source.name}'):
            match = pattern.fullmatch(name)
            if match:
                yield match[1], read()
    except (tarfile.TarError, EOFError) as error:
        raise UserError(f'{source}: not a tar or zip file, or a damaged one '
                        f'({error}). Download it again.') from error


def write(path: Path, content: bytes, overwrite: bool) -> None:
    """Write a file; refuse to replace another content unless `overwrite`."""
    from mmseg_afa.utils import UserError, replacing

    if path.exists() and not overwrite:
        if path.read_bytes() != content:
            raise UserError(f'{path}: differs from what would be written. '
                            'Move it away, or replace it by --overwrite.')
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def convert_sbd_mask(content: bytes) -> bytes:
    """Convert a file of SBD's folder ``cls`` to PNG.

    Source: http://home.bharathh.info/pubs/codes/SBD/download.html
    """
    import numpy as np
    from scipy.io import loadmat

    from mmseg_afa.datasets.mask_file import encode_mask

    variables = loadmat(BytesIO(content), variable_names=['GTcls'])
    mask = variables['GTcls']['Segmentation'][0, 0]
    return encode_mask(np.ascontiguousarray(mask))


def check_pair(root: Path, classes: tuple, name: str) -> tuple:
    """Return the tags in a mask; raise a UserError if it does not fit."""
    from PIL import Image

    from mmseg_afa.datasets.mask_file import read_mask, tags_in_mask
    from mmseg_afa.utils import UserError

    path = root / MASK.format(name)
    mask = read_mask(str(path), len(classes) + 1)
    try:
        with Image.open(root / IMAGE.format(name)) as image:
            size = image.size[::-1]  # from the header
    except OSError as error:
        raise UserError(f'The image of {name} cannot be read: {error}. Get '
                        'it again.') from error
    if mask.shape != size:
        raise UserError(f'{path}: has shape {mask.shape}, its image {size}. '
                        'Get both again.')
    return tags_in_mask(mask, classes)


def write_lists(root: Path, train: list, val: list, overwrite: bool) -> None:
    """Check all images and masks; write training list and label file."""
    from mmseg_afa.datasets import PascalVOCWeakDataset, write_label_file
    from mmseg_afa.utils import parallel_map

    classes = PascalVOCWeakDataset.METAINFO['classes'][1:]
    tags = parallel_map(
        partial(check_pair, root, classes),
        train + val,
        description='Checking')
    print(f'{len(train):,} training and {len(val):,} validation images, as '
          'expected; every mask fits its image.')
    write(root / LIST.format('trainaug'), '\n'.join([*train, '']).encode(),
          overwrite)
    label_file = root / 'image_labels.txt'
    if overwrite or not label_file.exists():
        write_label_file(str(label_file), classes, dict(zip(train, tags)))


def make_voc_aug(root: Path, voc, sbd, aug, expect, overwrite: bool) -> None:
    """Make the data set; the arguments are those of the command line."""
    from mmseg_afa.datasets.image_files import read_bytes
    from mmseg_afa.datasets.label_file import read_image_list
    from mmseg_afa.utils import UserError, progress

    for name, content in read_files(voc, VOC_FILE) if voc else ():
        write(root / name, content, overwrite)
    lists = [root / LIST.format(split) for split in ('train', 'val')]
    if not all(path.is_file() for path in lists):
        raise UserError(
            f'{lists[0]} or {lists[1].name}: no such file. Correct {root}, '
            'the folder VOC2012, or add --voc VOCtrainval_11-May-2012.tar.')
    own_train, val = (read_image_list(str(path)) for path in lists)
    masks = dict(
        read_files(sbd, SBD_MASK) if sbd else read_files(aug, AUG_MASK))
    train = sorted({*masks, *own_train}.difference(val))
    if [len(train), len(val)] != list(expect):
        raise UserError(
            f'found {len(train):,} training and {len(val):,} validation '
            f'images, expected {expect[0]:,} and {expect[1]:,}. {sbd or aug} '
            f'has {len(masks):,} masks. An archive is incomplete, or another '
            'one. For a part of the data set, give the numbers by --expect.')
    own = {*own_train, *val}
    for name in own:
        path = str(root / OWN_MASK.format(name))
        masks[name] = read_bytes(path, 'no such mask. Get VOC again.')
    for name in progress(train + val, 'Writing masks'):
        content = masks[name]
        if sbd and name not in own:
            content = convert_sbd_mask(content)
        write(root / MASK.format(name), content, overwrite)
    write_lists(root, train, val, overwrite)
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
    add('--overwrite', action='store_true', help='replace existing files')
    return parser.parse_args(argv)


def main(argv=None) -> None:
    """Make the data set that the command line describes."""
    args = parse_args(argv)
    from mmseg_afa.utils import exit_on_user_error
    with exit_on_user_error():
        make_voc_aug(**vars(args))


if __name__ == '__main__':
    main()
