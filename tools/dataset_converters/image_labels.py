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
from typing import Dict, List, Mapping, Optional, Sequence

from label_readers import (read_coco, read_folders, read_masks, read_onehot,
                           read_xml)
from label_tables import read_csv, read_json

from mmseg_afa.datasets import (COCO2014WeakDataset, PascalVOCWeakDataset,
                                read_label_file, write_label_file)
from mmseg_afa.datasets.image_list import (by_stem, check_name, composed,
                                           first_few, read_image_list,
                                           read_text, strip_image_suffix)
from mmseg_afa.datasets.label_file import (check_classes, explain_all_unknown,
                                           unknown_tags)

KNOWN_CLASSES = dict(
    voc=PascalVOCWeakDataset.METAINFO['classes'][1:],
    coco=COCO2014WeakDataset.METAINFO['classes'][1:])
VOC_LIST = 'ImageSets/Segmentation/trainaug.txt'

# How to read each source, and its defaults of --file, --classes and --list.
READERS = dict(
    masks=lambda path, args, names, classes: read_masks(path, names, classes),
    xml=lambda path, args, names, _: read_xml(path, names, args.difficult),
    coco=lambda path, args, *_: read_coco(path, args.crowd),
    csv=lambda path, args, *_: read_csv(path, args.delimiter),
    json=lambda path, *_: read_json(path),
    text=lambda path, *_: read_label_file(path),
    folders=lambda path, *_: read_folders(path),
    onehot=lambda path, args, _, classes: read_onehot(path, classes))
PATHS = dict(
    masks='SegmentationClassAug',
    xml='Annotations',
    folders='JPEGImages',
    onehot='cls_labels_onehot.npy')
CLASSES = dict(masks='voc', xml='voc', onehot='voc')
LISTS = dict(masks=[VOC_LIST], xml=[VOC_LIST])
# Options that are for one source only.
SOURCE_OF = dict(difficult='xml', crowd='coco', delimiter='csv')


def make_label_file(args: argparse.Namespace) -> None:
    """Make the label file that the command line describes."""
    for option, source in SOURCE_OF.items():
        if getattr(args, option) and args.source != source:
            raise ValueError(f'--{option} is not for --from {args.source}: '
                             'leave it out.')
    if not (args.path or args.source in PATHS):
        raise ValueError(f'--from {args.source} needs to know what to read: '
                         'give --file, from DATA_ROOT on.')
    path = osp.join(args.data_root, args.path or PATHS[args.source])
    classes = args.classes or CLASSES.get(args.source)
    classes = classes and class_list(classes, args.data_root)
    names = [
        strip_image_suffix(name)
        for file in args.lists or LISTS.get(args.source, ())
        for name in read_image_list(osp.join(args.data_root, file))
    ]
    listed, labels = READERS[args.source](path, args, names, classes)
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
    """The tags of the images in a list, or of all, sorted, if it is empty.

    The names in the labels may have a suffix, './' and backslashes; those in
    the list have no suffix.
    """
    tags = {}
    for text, found in labels.items():
        name = posixpath.normpath(text.strip().replace('\\', '/'))
        check_name(where, name)
        if re.search('[\r\n\ud800-\udfff]', name):
            raise ValueError(f'{where}: {text!r} cannot be the name of an '
                             'image: rename it, in one line of UTF-8.')
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
    where, separator = '--classes', ','
    if text.endswith('.txt'):
        where, separator = osp.join(folder, text), '\n'
        text = read_text(where, 'no such list of classes.')
    classes = re.split(rf'\s*{separator}\s*', text.strip())
    check_classes(where, classes)
    return classes


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
        choices=tuple(READERS),
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
        f'{VOC_LIST}, else all)')
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
        choices=(',', ';', '|', ' ', 'tab'),
        help='csv: what stands between columns (default: the comma, '
        'semicolon or tab in the first line)')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make a label file."""
    try:
        make_label_file(parse_args(argv))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
