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
import re
from collections import Counter
from typing import (Any, Callable, Mapping, NamedTuple, Optional, Sequence,
                    Tuple)

from mmseg_afa.datasets import (COCO2014WeakDataset, PascalVOCWeakDataset,
                                label_sources, write_label_file)
from mmseg_afa.datasets.image_list import read_image_list
from mmseg_afa.datasets.label_file import Labels, check_classes
from mmseg_afa.utils import add_workers

KNOWN_CLASSES = dict(
    voc=PascalVOCWeakDataset.METAINFO['classes'][1:],
    coco=COCO2014WeakDataset.METAINFO['classes'][1:])
VOC_LIST = ('ImageSets/Segmentation/trainaug.txt', )
SHORT_TABLE = 10  # classes


class Source(NamedTuple):
    """What --from can name.

    Args:
        read (Callable): Takes the path and the options, and returns the
            classes the source lists, or None, and the tags of each image.
        takes (tuple[str]): The options of ``read``.
        path (str, optional): The default of --folder or --file.
        classes (str, optional): The default of --classes.
        lists (tuple[str], optional): The default of --list.
    """
    read: Callable[..., Tuple[Optional[Tuple[str, ...]], Labels]]
    takes: Tuple[str, ...] = ()
    path: Optional[str] = None
    classes: Optional[str] = None
    lists: Optional[Tuple[str, ...]] = None


SOURCES = dict(
    masks=Source(label_sources.read_masks, ('names', 'classes', 'workers'),
                 'SegmentationClassAug', 'voc', VOC_LIST),
    xml=Source(label_sources.read_xml, ('names', 'difficult', 'workers'),
               'Annotations', 'voc', VOC_LIST),
    coco=Source(label_sources.read_coco, ('crowd', )),
    csv=Source(label_sources.read_csv, ('delimiter', )),
    json=Source(label_sources.read_json),
    text=Source(label_sources.read_text),
    folders=Source(label_sources.read_folders, path='JPEGImages'),
    onehot=Source(
        label_sources.read_onehot, ('classes', ),
        path='cls_labels_onehot.npy',
        classes='voc'))


def make_label_file(data_root: str,
                    source: str,
                    path: Optional[str] = None,
                    lists: Optional[Sequence[str]] = None,
                    out: str = 'image_labels.txt',
                    classes: Optional[str] = None,
                    workers: int = 1,
                    **options: Any) -> None:
    """Make a label file; relative paths start at ``data_root``.

    Args:
        data_root (str): The data set.
        source (str): A key of ``SOURCES``.
        path (str, optional): The folder or file to read. Defaults to the one
            of the source.
        lists (Sequence[str], optional): Image lists: which images to write,
            each of them once. Defaults to that of the source, or all images.
        out (str): The file to write.
        classes (str, optional): What :func:`class_list` takes. Defaults to
            that of the source, the classes that it lists, or its tags.
        workers (int): Number of processes, where there is a file to read for
            each image.
        **options: Further options of the source; None stands for its default.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If a library is missing that the source needs.
        ValueError: If a file is broken, a tag is no class, or an option is
            not for this source.
    """
    reader = SOURCES[source]
    path, lists = path or reader.path, lists or reader.lists
    classes = classes or reader.classes
    if path is None:
        raise ValueError(f'--from {source} needs to know what to read: give '
                         '--file, from DATA_ROOT on.')
    path = osp.join(data_root, path)
    names = lists and list(
        dict.fromkeys(
            name for file in lists
            for name in read_image_list(osp.join(data_root, file))))
    known = classes and class_list(classes, data_root)
    options = {key: value for key, value in options.items() if value}
    for key in options:
        if key not in reader.takes:
            raise ValueError(f'--{key} is not for --from {source}: leave it '
                             'out.')
    options.update(names=names, classes=known, workers=workers)
    listed, labels = reader.read(
        path, **{key: options[key]
                 for key in reader.takes if key in options})

    labels = label_sources.select_images(path, labels, names)
    tags = Counter(tag for found in labels.values() for tag in found)
    known = known or listed or tuple(sorted(tags))
    if not known:
        raise ValueError(f'{path}: no image has a tag. Say the classes with '
                         '--classes, if that is right.')
    check_classes(path, known)
    labels = label_sources.settle_tags(path, labels, known)
    out = osp.join(data_root, out)
    write_label_file(out, known, labels)
    print(f'{out}: {summary(known, labels)}')
    if not classes and not listed:
        print('The classes are the tags that were found. Give --classes to '
              'have the tags checked.')


def summary(classes: Sequence[str], labels: Mapping[str,
                                                    Sequence[str]]) -> str:
    """Numbers of images and tags, and the most and least frequent classes."""
    images = Counter(tag for tags in labels.values() for tag in tags)
    empty = sum(not tags for tags in labels.values())
    rows = [
        f'{images[name]:9,}  {name}'
        for name in sorted(classes, key=lambda name: -images[name])
    ]
    if len(rows) > SHORT_TABLE:
        half = SHORT_TABLE // 2
        rows[half:-half] = [f'      ...  {len(rows) - SHORT_TABLE} more']
    total = sum(images.values())
    return '\n'.join([
        f'{len(labels)} images, {total} tags. Images without tags: {empty}.',
        '   images  class', *rows
    ])


def class_list(text: str, folder: str = '') -> Tuple[str, ...]:
    """The classes that --classes means.

    Args:
        text (str): 'voc', 'coco', names with commas between them, or a file
            '*.txt' with a name on each line.
        folder (str): Where a relative path of a file starts.

    Returns:
        tuple[str]: The foreground classes, id 1 first.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a name cannot be that of a class, or is there twice.
    """
    if text in KNOWN_CLASSES:
        return KNOWN_CLASSES[text]
    where, lines = '--classes', text.split(',')
    if text.endswith('.txt'):
        where = osp.join(folder, text)
        lines = re.split('[\r\n]', label_sources.read_utf8(where))
    classes = tuple(line.strip() for line in lines if line.strip())
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
        help='where to read them (default: '
        'SegmentationClassAug, Annotations, JPEGImages or '
        'cls_labels_onehot.npy for masks, xml, folders and onehot)')
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
    parser.add_argument(
        '--difficult',
        choices=('keep', 'drop'),
        help='xml: objects marked as difficult (default: keep)')
    parser.add_argument(
        '--crowd',
        choices=('keep', 'drop'),
        help='coco: annotations of crowds (default: keep)')
    parser.add_argument(
        '--delimiter',
        type=delimiter,
        help='csv: what stands between columns (default: the comma, '
        'semicolon or tab in the first line)')
    add_workers(parser, 'masks and xml: ')
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make the label file that the command line describes."""
    try:
        make_label_file(**vars(parse_args(argv)))
    except (ImportError, OSError, ValueError) as error:
        raise SystemExit(str(error)) from error


if __name__ == '__main__':
    main()
