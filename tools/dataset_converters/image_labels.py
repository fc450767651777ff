# Copyright (c) mmseg_afa contributors. All rights reserved.
r"""Make a label file: the classes that each image shows.

Training reads nothing else about the images. The tags can come from masks,
from VOC's or COCO's annotations, from a CSV, JSON or text file, from a folder
for each class, or from a published cls_labels_onehot.npy:

    python tools/dataset_converters/image_labels.py data/VOCdevkit/VOC2012
    python tools/dataset_converters/image_labels.py data/pets \
        --from csv --file tags.csv --classes cat,cow,dog

docs/label_file.md shows each source.
"""
import argparse
import os.path as osp
from collections import Counter
from typing import Dict, Iterable, Mapping, Optional, Sequence

# Of label_readers.SOURCES, whose imports would make --help slow.
SOURCES = ('masks', 'xml', 'coco', 'csv', 'json', 'text', 'folders', 'onehot')


def make_label_file(args: argparse.Namespace) -> None:
    """Make the label file that the command line describes."""
    import label_readers

    from mmseg_afa.datasets import write_label_file
    from mmseg_afa.datasets.image_files import strip_image_suffix
    from mmseg_afa.datasets.label_file import read_image_list
    from mmseg_afa.utils import UserError
    source = label_readers.SOURCES[args.source]
    if not (args.path or source.path):
        raise UserError(f'--from {args.source} needs to know what to read. '
                        'Give --file, relative to DATA_ROOT.')
    path = osp.join(args.data_root, args.path or source.path)
    classes = args.classes or source.classes
    args.classes = classes and class_list(classes, args.data_root)
    args.names = [
        strip_image_suffix(name) for file in args.lists or source.lists
        for name in read_image_list(osp.join(args.data_root, file))
    ]
    listed, labels = source.read(path, args)
    labels = select_images(path, labels, args.names)
    known = args.classes or listed or sorted(set().union(*labels.values()))
    out = osp.join(args.data_root, args.out)
    write_label_file(out, known, labels, source=path)
    images = Counter(tag for tags in labels.values() for tag in tags)
    print(f'{out}: {len(labels)} images, {sum(images.values())} tags. Images '
          f'without tags: {sum(not tags for tags in labels.values())}.')
    print('   images  class')
    for name in sorted(known, key=lambda name: -images[name]):
        print(f'{images[name]:9,}  {name}')


def select_images(where: str, labels: Mapping[str, Iterable[str]],
                  names: Sequence[str]) -> Dict[str, Iterable[str]]:
    """Select the labels of the images in a list; without one, sort them all.

    Args:
        where (str): The source, for messages.
        labels (Mapping[str, Iterable[str]]): The tags by the name of an image
            or its file.
        names (Sequence[str]): The names, without suffix.

    Returns:
        dict[str, Iterable[str]]: The tags by the names without suffix.
    """
    from mmseg_afa.datasets.image_files import format_names, strip_image_suffix
    from mmseg_afa.datasets.label_file import normalize_name
    from mmseg_afa.utils import UserError
    tags = {}
    for name, found in labels.items():
        stem = strip_image_suffix(normalize_name(name))
        tags.setdefault(stem, set()).update(found)
    if not tags:
        raise UserError(f'{where}: names no image.')
    missing = [name for name in names if name not in tags]
    if missing:
        raise UserError(
            f'{where}: has nothing about {len(missing)} of {len(names)} '
            f'images of the list: {format_names(missing)}. It has '
            f'{format_names(sorted(tags))}. Add the images, without tags if '
            'they show no object, or correct the names in the list.')
    return {name: tags[name] for name in names or sorted(tags)}


def class_list(text: str, folder: str) -> Sequence[str]:
    """Return the classes that --classes names, lists, or reads from a file."""
    from mmseg_afa.datasets import COCO2014WeakDataset, PascalVOCWeakDataset
    from mmseg_afa.datasets.image_files import read_text
    from mmseg_afa.datasets.label_file import check_classes

    known = dict(voc=PascalVOCWeakDataset, coco=COCO2014WeakDataset)
    if text in known:
        return known[text].METAINFO['classes'][1:]
    if text.endswith('.txt'):
        path = osp.join(folder, text)
        lines = read_text(path, 'no such list of classes.').split('\n')
        return check_classes(path, filter(str.strip, lines))
    return check_classes('--classes', text.split(','))


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
        choices=SOURCES,
        default='masks',
        help='source of the tags (default: masks)')
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
        'ImageSets/Segmentation/trainaug.txt, else all)')
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
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Make a label file."""
    args = parse_args(argv)
    from mmseg_afa.utils import exit_on_user_error
    with exit_on_user_error():
        make_label_file(args)


if __name__ == '__main__':
    main()
