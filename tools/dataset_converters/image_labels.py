# Copyright (c) mmseg_afa contributors. All rights reserved.
r"""Make a label file: which classes each image shows.

Training reads this file and nothing else about the images. The tags can come
from masks, from VOC's or COCO's annotations, from a table, a JSON or text
file, from a folder for each class, or from published cls_labels_onehot.npy:

    python tools/dataset_converters/image_labels.py data/VOCdevkit/VOC2012
    python tools/dataset_converters/image_labels.py data/pets \
        --from csv --file tags.csv --classes cat,cow,dog

docs/datasets.md shows each source.
"""
import argparse
import os.path as osp
import posixpath
import re
from collections import Counter
from inspect import signature
from typing import (Callable, Dict, List, Mapping, NamedTuple, Optional,
                    Sequence)

from label_readers import (read_coco, read_folders, read_masks, read_onehot,
                           read_xml)
from label_tables import read_csv, read_json, read_utf8

from mmseg_afa.datasets import (COCO2014WeakDataset, PascalVOCWeakDataset,
                                read_label_file, write_label_file)
from mmseg_afa.datasets.image_list import (by_stem, check_name, composed,
                                           first_few, read_image_list,
                                           strip_image_suffix)
from mmseg_afa.datasets.label_file import (check_classes, explain_all_unknown,
                                           unknown_tags)
from mmseg_afa.utils import DEFAULT_WORKERS

KNOWN_CLASSES = dict(
    voc=PascalVOCWeakDataset.METAINFO['classes'][1:],
    coco=COCO2014WeakDataset.METAINFO['classes'][1:])
VOC_LIST = ('ImageSets/Segmentation/trainaug.txt', )
UNWRITABLE = re.compile('[\r\n\ud800-\udfff]')


class Source(NamedTuple):
    """What --from can name: a reader, and defaults of other options."""
    read: Callable
    path: Optional[str] = None
    classes: Optional[str] = None
    lists: Sequence[str] = ()


SOURCES = dict(
    masks=Source(read_masks, 'SegmentationClassAug', 'voc', VOC_LIST),
    xml=Source(read_xml, 'Annotations', 'voc', VOC_LIST),
    coco=Source(read_coco),
    csv=Source(read_csv),
    json=Source(read_json),
    text=Source(read_label_file),
    folders=Source(read_folders, 'JPEGImages'),
    onehot=Source(read_onehot, 'cls_labels_onehot.npy', 'voc'))


def make_label_file(args: argparse.Namespace) -> None:
    """Make the label file that the command line describes.

    Raises:
        OSError: If a file is missing.
        ValueError: If a file is broken, a tag is no class, or an option is
            not for this source.
    """
    source = SOURCES[args.source]
    path = args.path or source.path
    if path is None:
        raise ValueError(f'--from {args.source} needs to know what to read: '
                         'give --file, from DATA_ROOT on.')
    path = osp.join(args.data_root, path)
    takes = signature(source.read).parameters
    options = {
        key: getattr(args, key)
        for key in ('difficult', 'crowd', 'delimiter') if getattr(args, key)
    }
    for key in options:
        if key not in takes:
            raise ValueError(f'--{key} is not for --from {args.source}: leave '
                             'it out.')
    classes = args.classes or source.classes
    classes = classes and class_list(classes, args.data_root)
    names = list(
        dict.fromkeys(
            strip_image_suffix(name) for file in args.lists or source.lists
            for name in read_image_list(osp.join(args.data_root, file))))
    options.update(classes=classes, names=names, workers=args.workers)
    listed, labels = source.read(
        path, **{key: options[key]
                 for key in options if key in takes})

    labels = select_images(path, labels, names)
    found = sorted({tag for tags in labels.values() for tag in tags})
    known = classes or listed or found
    if not known:
        raise ValueError(f'{path}: no image has a tag. Say the classes with '
                         '--classes, if that is right.')
    check_classes(path, known)
    unknown = unknown_tags(labels, known)
    if unknown:
        raise ValueError(f'{path}: {explain_all_unknown(unknown, known)}')
    labels = {
        name: sorted(tags, key=known.index)
        for name, tags in labels.items()
    }
    out = osp.join(args.data_root, args.out)
    write_label_file(out, known, labels)
    print(f'{out}: {summary(known, labels)}')
    if known is found:
        print('The classes are the tags that were found. Give --classes to '
              'have the tags checked.')


def select_images(where: str, labels: Mapping[str, Sequence[str]],
                  names: Sequence[str]) -> Dict[str, List[str]]:
    """Name images as image lists do, and take those of a list, or all sorted.

    Args:
        where (str): The source, for messages.
        labels (Mapping[str, Sequence[str]]): The tags of each image. The
            names may have a suffix, './' and backslashes.
        names (Sequence[str]): The list, without suffixes; empty for all.

    Raises:
        ValueError: If images are missing, or a name cannot be used.
    """
    tags = {}
    for text, found in labels.items():
        name = posixpath.normpath(text.strip().replace('\\', '/'))
        check_name(where, name)
        if name == '.' or UNWRITABLE.search(name):
            raise ValueError(f'{where}: {text!r} cannot be the name of an '
                             'image: write its path, in one line of UTF-8.')
        tags[name] = sorted({*tags.get(name, ()), *found})
    if not tags:
        raise ValueError(f'{where}: names no image.')
    names = names or sorted({strip_image_suffix(name) for name in tags})
    found = by_stem(where, tags)
    missing = [name for name in names if composed(name) not in found]
    if missing:
        raise ValueError(
            f'{where}: has nothing on {len(missing)} of {len(names)} images '
            f'of the list: {first_few(missing)}, but it has '
            f'{first_few(sorted(tags))}. Add the images, without tags if they '
            'show no object, or correct the names in the list.')
    return {name: found[composed(name)] for name in names}


def summary(classes: Sequence[str], labels: Mapping[str,
                                                    Sequence[str]]) -> str:
    """Numbers of images and tags, and the most and least frequent classes."""
    images = Counter(tag for tags in labels.values() for tag in tags)
    empty = sum(not tags for tags in labels.values())
    lines = [
        f'{len(labels)} images, {sum(images.values())} tags. Images without '
        f'tags: {empty}.', '   images  class'
    ]
    rows = [
        f'{images[name]:9,}  {name}'
        for name in sorted(classes, key=lambda name: -images[name])
    ]
    if len(rows) > 10:
        rows[5:-5] = [f'      ...  {len(rows) - 10} more']
    return '\n'.join(lines + rows)


def class_list(text: str, folder: str) -> Sequence[str]:
    """The classes that --classes means; a file's path starts at the folder."""
    if text in KNOWN_CLASSES:
        return KNOWN_CLASSES[text]
    where, names = '--classes', text.split(',')
    if text.endswith('.txt'):
        where = osp.join(folder, text)
        names = read_utf8(where).split('\n')
    classes = [name.strip() for name in names if name.strip()]
    if not classes:
        raise ValueError(f'{where}: names no class.')
    check_classes(where, classes)
    return classes


def delimiter(text: str) -> str:
    """An argparse type: the character between columns."""
    text = {'tab': '\t', '\\t': '\t'}.get(text, text)
    if len(text) != 1 or text in '\r\n"':
        raise argparse.ArgumentTypeError(
            f"{text!r} must be one character, or 'tab'")
    return text


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'data_root', help='the data set; other relative paths start there')
    parser.add_argument(
        '--from',
        dest='source',
        choices=tuple(SOURCES),
        default='masks',
        help='what tells the tags (default: masks)')
    parser.add_argument(
        '--file',
        '--folder',
        dest='path',
        help='where to read them (default: SegmentationClassAug, Annotations, '
        'JPEGImages or cls_labels_onehot.npy for masks, xml, folders and '
        'onehot)')
    parser.add_argument(
        '--list',
        dest='lists',
        nargs='+',
        help='image lists: which images to write (default: for masks and xml '
        f'{VOC_LIST[0]}, else all)')
    parser.add_argument(
        '--out',
        default='image_labels.txt',
        help='the file to write (default: %(default)s)')
    parser.add_argument(
        '--classes',
        help="the foreground classes, id 1 first: 'voc', 'coco', your own as "
        'cat,cow,dog, or a file *.txt with one on each line (default: for '
        'masks, xml and onehot voc, else those that the source lists, or its '
        'tags)')
    for option, what in (('difficult', 'xml: objects marked as difficult'),
                         ('crowd', 'coco: annotations of crowds')):
        parser.add_argument(
            f'--{option}',
            choices=('keep', 'drop'),
            help=f'{what} (default: keep)')
    parser.add_argument(
        '--delimiter',
        type=delimiter,
        help='csv: what stands between columns (default: the comma, '
        'semicolon or tab in the first line)')
    parser.add_argument(
        '--workers',
        type=int,
        default=DEFAULT_WORKERS,
        help='masks and xml: number of threads (default: %(default)s)')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make a label file."""
    try:
        make_label_file(parse_args(argv))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
