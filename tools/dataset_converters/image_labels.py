# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make the label file of a data set in the layout of PASCAL VOC.

It lists which classes each training image shows, read from the masks or from
the XML annotations. Training then reads this file and no mask.

    python tools/dataset_converters/image_labels.py data/VOCdevkit/VOC2012
"""
import argparse
import os
import os.path as osp
from functools import partial
from typing import Optional, Sequence, Tuple
from xml.parsers import expat

import numpy as np

from mmseg_afa.datasets import (COCO2014WeakDataset, PascalVOCWeakDataset,
                                write_label_file)
from mmseg_afa.datasets.image_list import (find_missing, first_few,
                                           read_image_list)
from mmseg_afa.datasets.label_file import explain_unknown
from mmseg_afa.datasets.mask_file import read_mask
from mmseg_afa.utils import parallel_map, positive

KNOWN_CLASSES = dict(
    voc=PascalVOCWeakDataset.METAINFO['classes'][1:],
    coco=COCO2014WeakDataset.METAINFO['classes'][1:])
OBJECT_NAME = ['annotation', 'object', 'name']


def tags_of_mask(path: str, classes: Sequence[str]) -> Tuple[str, ...]:
    """The classes of a mask, in the order of ``classes``.

    Args:
        path (str): An image with 0 for background, the number of a class
            from 1 on, or 255 at each pixel.
        classes (Sequence[str]): The foreground classes.

    Raises:
        ValueError: If the file is no such image.
    """
    mask = read_mask(path, num_classes=len(classes) + 1)
    counts = np.bincount(mask.ravel(), minlength=256)
    return tuple(name for name, count in zip(classes, counts[1:]) if count)


def tags_of_xml(path: str, classes: Sequence[str]) -> Tuple[str, ...]:
    """The classes of the objects in an annotation, in the order of
    ``classes``.

    Args:
        path (str): An XML file with <annotation><object><name> elements.
        classes (Sequence[str]): The foreground classes.

    Raises:
        ValueError: If it is no such file, has an object of an unknown class,
            or a document type declaration, which could define entities that
            fill the memory or read other files.
    """
    names, stack = [], []

    def start(tag, _):
        stack.append(tag)
        if stack == OBJECT_NAME:
            names.append('')

    def text(data):
        if stack == OBJECT_NAME:
            names[-1] += data

    def refuse(*_):
        raise ValueError(f'{path}: has a document type declaration, which no '
                         'annotation of VOC has: remove it.')

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    with open(path, 'rb') as file:
        try:
            parser.ParseFile(file)
        except expat.ExpatError as error:
            raise ValueError(f'{path}: no XML file, or a damaged one '
                             f'({error}). Copy it again.') from error
    names = [name.strip() for name in names]
    for name in names:
        if name not in classes:
            raise ValueError(f'{path}: {explain_unknown(name, classes)}')
    return tuple(name for name in classes if name in names)


# What --from can name: where the files are, how they end, how to read them.
SOURCES = dict(
    masks=('SegmentationClassAug', '.png', tags_of_mask),
    xml=('Annotations', '.xml', tags_of_xml))


def make_label_file(data_root: str,
                    source: str,
                    lists: Sequence[str],
                    out: str,
                    classes: Sequence[str],
                    folder: Optional[str] = None,
                    workers: int = 1) -> None:
    """Make a label file; relative paths start at ``data_root``.

    Args:
        data_root (str): The data set.
        source (str): 'masks' or 'xml'.
        lists (Sequence[str]): Image lists. An image in several of them is
            written once.
        out (str): The file to write.
        classes (Sequence[str]): The foreground classes, id 1 first.
        folder (str, optional): Where the masks or XML files are. Defaults to
            VOC's own folder.
        workers (int): Number of processes.

    Raises:
        FileNotFoundError: If an image list, mask or XML file is missing.
        ValueError: If one of them is broken.
    """
    default_folder, suffix, read_tags = SOURCES[source]
    folder = osp.join(data_root, folder or default_folder)
    names = list(
        dict.fromkeys(
            name for path in lists
            for name in read_image_list(osp.join(data_root, path))))
    paths = [osp.join(folder, name + suffix) for name in names]
    missing = find_missing(paths)
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} files are missing: '
            f'{first_few(missing)}. Give their folder with --folder, other '
            'images with --list, or another source with --from.')
    read = partial(read_tags, classes=classes)
    tags = list(parallel_map(read, paths, workers, description='Reading tags'))
    out = osp.join(data_root, out)
    write_label_file(out, classes, dict(zip(names, tags)))
    print(f'{out}: {len(names)} images, {sum(map(len, tags))} tags.')


def class_list(text: str) -> Tuple[str, ...]:
    """An argparse type: 'voc', 'coco' or names with commas between them."""
    return KNOWN_CLASSES.get(text) or tuple(text.split(','))


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data_root', help='the folder with ImageSets in it')
    parser.add_argument(
        '--from',
        dest='source',
        choices=tuple(SOURCES),
        default='masks',
        help='what tells the classes (default: masks)')
    parser.add_argument(
        '--folder',
        help='where the masks or XML files are (default: '
        'SegmentationClassAug or Annotations)')
    parser.add_argument(
        '--list',
        dest='lists',
        nargs='+',
        default=['ImageSets/Segmentation/trainaug.txt'],
        help='image lists (default: %(default)s)')
    parser.add_argument(
        '--out',
        default='image_labels.txt',
        help='the file to write (default: %(default)s in DATA_ROOT)')
    parser.add_argument(
        '--classes',
        type=class_list,
        default='voc',
        help="'voc', 'coco', or your own as cat,cow,dog: the foreground "
        'classes, id 1 first (default: voc)')
    parser.add_argument(
        '--workers',
        type=positive,
        default=min(8,
                    os.cpu_count() or 1),
        help='number of processes (default: %(default)s)')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make the label file that the command line describes."""
    try:
        make_label_file(**vars(parse_args(argv)))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
