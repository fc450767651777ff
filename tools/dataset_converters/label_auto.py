# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Find out what holds the tags, for ``image_labels.py --from auto``."""
import os.path as osp

from label_tables import load_json, read_file
from PIL import Image

from mmseg_afa.datasets.image_files import (IMAGE_SUFFIXES, MissingFileError,
                                            list_images)
from mmseg_afa.utils import UserError

# The source of each suffix, and that of a JSON file with some keys.
BY_SUFFIX = dict(
    csv='csv', tsv='csv', jsonl='jsonl', xml='cvat', npy='onehot', yaml='yolo')
BY_KEYS = (('labelstudio', {'data', 'annotations'}),
           ('labelstudio', {'id', 'annotator'}),
           ('coco', {'images', 'annotations'}),
           ('fiftyone', {'classes', 'labels'}))  # yapf: disable
# Folders of data sets, which are not classes.
PARTS = ('images', 'jpegimages', 'masks', 'labels', 'train', 'val', 'valid',
         'test', 'annotations', 'segmentationclass', 'segmentationclassaug')


def find_source(path):
    """Find the source of image_labels.py that reads a path, and say why."""
    if not osp.exists(path):
        raise MissingFileError(f'{path}: no such file. Name it with --file.')
    suffix = osp.splitext(path)[1].lower()
    source, reason = BY_SUFFIX.get(suffix[1:]), f'its suffix is {suffix}'
    if osp.isdir(path):
        source, reason = look_into_folder(path)
    elif suffix == '.json':
        content = load_json(path)
        first = content[0] if isinstance(content, list) and content else (
            content)
        fits = [
            source for source, keys in BY_KEYS
            if isinstance(first, dict) and keys.issubset(first)
        ]
        source, reason = [*fits, 'json'][0], 'by its keys'
    elif suffix == '.txt':
        first = read_file(path).lstrip().partition('\n')[0]
        # A table may have addresses, a label file has a colon on each line.
        is_text = first[:1] == '#' or first.rpartition(':')[0]
        source = 'text' if is_text else 'csv'
        reason = f'its first line is {first[:40]!r}'
    if source is None:
        raise UserError(
            f'{path}: not recognised. Read are tables (.csv, .tsv), .json, '
            '.jsonl, .xml of CVAT, .npy, label files (.txt), a folder with a '
            'folder for each class, with PNG masks, or with data.yaml and '
            'labels/. Name another source with --from.')
    print(f'{path}: read as {source!r}: {reason}.')
    return source


def look_into_folder(folder):
    """Recognise YOLO's labels, a folder for each class, and masks."""
    if osp.exists(osp.join(folder, 'data.yaml')):
        return 'yolo', 'it holds data.yaml'
    images = list_images(folder, IMAGE_SUFFIXES)[0]
    nested = {image.partition('/')[0] for image in images if '/' in image}
    if nested and not any(one.lower() in PARTS for one in nested):
        return 'folders', f'it holds {len(nested)} folders of images'
    if images and not nested and images[0].lower().endswith('.png'):
        with Image.open(osp.join(folder, images[0])) as image:
            if image.mode == 'P':
                return 'masks', f'{images[0]} is an indexed PNG'
    return None, ''
