# Copyright (c) mmseg_afa contributors. All rights reserved.
r"""Read masks that were corrected in other tools into OUT/NAME.png.

The files are indexed PNG: 0 is background, 1 to C are the classes, 255 is
'ignore' or 'unsure'. NAME is the name of a photo:

    python tools/dataset_converters/masks.py data/pets/trusted \
        --from cvat --file cvat.zip --label-file data/pets/image_labels.txt

docs/masks.md describes the formats.
"""
import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

# Of mask_readers.SOURCES, whose imports would make --help slow.
SOURCES = ('cvat', 'labelstudio', 'coco', 'labelme', 'colours')


def make_masks(args):
    """Write the masks that the command line describes, all or none."""
    import numpy as np
    from image_labels import class_list
    from label_tables import explain
    from mask_readers import SOURCES, read_masks

    from mmseg_afa.datasets.image_files import (IMAGE_SUFFIXES, DataError,
                                                find_images)
    from mmseg_afa.datasets.label_file import read_classes, unknown_tags
    from mmseg_afa.datasets.mask_file import encode_mask
    from mmseg_afa.utils import UserError, progress

    out = Path(args.out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f'{out}: exists and is not empty. Choose another '
                        'folder, or remove this one.')
    classes = (
        class_list(args.classes, '')
        if args.classes else read_classes(args.label_file))
    if not classes:
        raise UserError(f'{args.label_file}: its first line lists no classes. '
                        'Write "# cat,dog" there, or give --classes.')
    photos = args.photos and find_images(args.photos, IMAGE_SUFFIXES)[0]
    unknown, left_out, empty = {}, 0, 0
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix='.masks-', dir=out.parent) as folder, \
            explain(args.file, SOURCES[args.source][1]):
        root = Path(folder) / out.name
        for result in progress(read_masks(args, classes, photos), 'Masks'):
            if result is None:
                left_out += 1
                continue
            name, mask, labels = result
            path = root / f'{name}.png'
            if path.exists():
                raise ValueError(f'found two masks of the photo {name!r}')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_mask(mask))
            unknown[name] = labels
            empty += not np.any(mask)
        messages = unknown_tags(unknown, classes)
        if messages:
            raise DataError([f'{args.file}: {text}' for text, _ in messages])
        if not unknown:
            raise ValueError(f'found no mask ({left_out} not annotated)')
        os.replace(root, out)
    print(f'{out}: {len(unknown)} masks. Only background: {empty}. Left out, '
          f'because they are not annotated: {left_out}.')


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('out', help='the folder to write, new or empty')
    add('--from', dest='source', choices=SOURCES, required=True)
    add('--file', required=True, help='the file, zip archive or folder')
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        '--label-file', help='the label file of the training: its classes')
    group.add_argument(
        '--classes', help='the classes, id 1 first, as cat,cow,dog')
    add('--colours',
        help='colours: the table, lines name,r,g,b or a labelmap.txt')
    add('--photos', help='the folder of the photos, to compare names, sizes')
    args = parser.parse_args(argv)
    if (args.source == 'colours') != bool(args.colours):
        parser.error('--from colours and --colours go together')
    return args


def main(argv=None):
    """Convert masks."""
    args = parse_args(argv)
    from mmseg_afa.utils import exit_on_user_error
    with exit_on_user_error():
        make_masks(args)


if __name__ == '__main__':
    main()
