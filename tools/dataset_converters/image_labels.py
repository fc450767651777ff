# Copyright (c) mmseg_afa contributors. All rights reserved.
r"""Make a label file: the classes that each image shows.

Training reads nothing else about the images. The tags can come from masks,
annotations, tables, text, folders, names of files, or annotation tools:

    python tools/dataset_converters/image_labels.py data/VOCdevkit/VOC2012
    python tools/dataset_converters/image_labels.py data/pets \
        --from auto --file tags.csv --classes cat,cow,dog

docs/label_file.md shows each source.
"""
import argparse
import os.path as osp
from collections import Counter

# Of label_readers.SOURCES, whose imports would make --help slow.
SOURCES = ('masks', 'xml', 'coco', 'csv', 'json', 'jsonl', 'text', 'folders',
           'onehot', 'labelstudio', 'cvat', 'yolo', 'fiftyone', 'names')


def make_label_file(args):
    """Make the label file that the command line describes.

    Returns:
        tuple: The foreground classes, and the tags of each image.
    """
    import label_choice
    from label_auto import find_source
    from label_photos import find_photos, match_photos, select_images
    from label_readers import SOURCES, read_tags
    from label_warnings import label_warnings

    from mmseg_afa.datasets import write_label_file
    from mmseg_afa.datasets.image_files import format_names, strip_image_suffix
    from mmseg_afa.datasets.label_file import read_image_list
    from mmseg_afa.utils import UserError
    args = argparse.Namespace(**vars(args))  # the caller's stay
    if args.source == 'auto':
        args.path = args.path or ''
        args.source = find_source(osp.join(args.data_root, args.path))
    source = SOURCES[args.source]
    file = source.path if args.path is None else args.path
    if file is None:
        raise UserError(f'--from {args.source} needs to know what to read. '
                        'Give --file, relative to DATA_ROOT.')
    path = osp.join(args.data_root, file)
    classes = args.classes or source.classes
    args.classes = classes and class_list(classes, args.data_root)
    args.names = [
        strip_image_suffix(name) for file in args.lists or source.lists
        for name in read_image_list(osp.join(args.data_root, file))
    ]
    listed, labels = read_tags(args.source, path, args)
    if not labels:
        raise UserError(f'{path}: names no image.')
    listed = args.classes or listed
    labels = label_choice.name_numbers(path, labels, listed)
    listed, labels = label_choice.choose_tags(path, listed, labels, args)
    # The photos themselves name their tags in two sources.
    named = args.source in ('folders', 'names')
    photos = labels if named else find_photos(args, path)
    labels = match_photos(path, labels, photos)
    labels = select_images(path, labels, args.names)
    untagged = [name for name, tags in labels.items() if tags is None]
    labels = {n: tags for n, tags in labels.items() if tags is not None}
    known = listed or label_choice.all_tags(labels)
    if not any(labels.values()):
        raise UserError(f'{path}: no image has a tag. Images that are not '
                        f'tagged yet: {len(untagged)}.')
    out = osp.join(args.data_root, args.out)
    write_label_file(out, known, labels, source=path)
    images = Counter(tag for tags in labels.values() for tag in set(tags))
    print(f'{out}: {len(labels)} images, {sum(images.values())} tags. Images '
          f'without tags: {sum(not tags for tags in labels.values())}.')
    print('   images  class')
    for name in sorted(known, key=lambda name: -images[name]):
        print(f'{images[name]:9,}  {name}')
    notes = label_warnings(known, labels)
    if untagged:
        notes.append(
            f'{path}: left out {len(untagged)} images that are not tagged '
            f'yet: {format_names(untagged)}. If they show none of the '
            'classes, say so with --normal "".')
    absent = [] if args.names else sorted({*photos} - {*labels, *untagged})
    if absent:
        notes.append(
            f'{path}: has nothing about {len(absent)} of {len(photos)} '
            f'photos: {format_names(absent)}. Training leaves them out.')
    for text in notes:
        label_choice.note(text)
    return known, labels


def class_list(text, folder):
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


def add_tag_options(parser, source='masks'):
    """Add the options of how tags are read, without those of the paths."""
    add = parser.add_argument
    add('--from',
        dest='source',
        choices=('auto', *SOURCES),
        default=source,
        help="source of the tags; 'auto' looks at the file (default: "
        '%(default)s)')
    add('--classes',
        help="the foreground classes, id 1 first: 'voc', 'coco', your own as "
        'cat,cow,dog, or a file *.txt with one on each line (default: for '
        'masks, xml and onehot voc, else those that the source lists, or its '
        'tags)')
    for option, text in (('--only TAG', 'drop all other tags'),
                         ('--rename OLD=NEW', 'rename or merge tags'),
                         ('--ignore TAG',
                          'drop tags; images without any other tag count as '
                          'not tagged yet'),
                         ('--normal TAG',
                          'tags or folders of images that show none of the '
                          'classes; "" stands for images without any tag')):
        option, metavar = option.split()
        add(option, nargs='+', metavar=metavar, help=text)
    add('--split-at',
        metavar='TEXT',
        help='what separates tags, such as + or SPACE (default: , ; or |)')
    add('--column',
        metavar='NAME',
        help='the column of the tags, if there are several')
    add('--pattern',
        help='for names: how the files are named, such as "{tags}_{stem}" or '
        '"{stem}-[{onehot}]"')


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('data_root', help='the data set; other relative paths start there')
    add('--file',
        '--folder',
        dest='path',
        help='where to read them (default: SegmentationClassAug, Annotations, '
        'JPEGImages or cls_labels_onehot.npy for masks, xml, folders and '
        'onehot)')
    add('--photos',
        nargs='+',
        metavar='DIR',
        help='where the photos are, to compare names (default: JPEGImages/'
        'train and val, else JPEGImages, else DATA_ROOT)')
    add('--list',
        dest='lists',
        nargs='+',
        help='image lists: which images to write (default: for masks and xml '
        'ImageSets/Segmentation/trainaug.txt, else all)')
    add('--out',
        default='image_labels.txt',
        help='the file to write (default: %(default)s)')
    add_tag_options(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Make a label file."""
    args = parse_args(argv)
    from mmseg_afa.utils import exit_on_user_error
    with exit_on_user_error():
        make_label_file(args)


if __name__ == '__main__':
    main()
