# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from masks, annotations, folders, tables and one-hot labels.

`SOURCES` lists the sources of image_labels.py. A reader gets a path and the
command's options, with two more: `names`, the images of the list without
suffix, and `classes`, the foreground classes or None. It returns the classes
that the source lists, or None, and the tags of each image.
"""
import os.path as osp
import pickle
from argparse import Namespace
from io import BytesIO
from typing import BinaryIO, Callable, Dict, NamedTuple, Optional, Sequence
from xml.etree import ElementTree

import numpy as np
from label_tables import Read, load_json, read_csv, read_json
from mmengine import fileio

from mmseg_afa.datasets import read_label_file
from mmseg_afa.datasets.image_files import (MissingFileError, format_names,
                                            normalize_nfc, read_bytes,
                                            strip_image_suffix)
from mmseg_afa.datasets.mask_file import read_mask, tags_in_mask
from mmseg_afa.utils import UserError, parallel_map

NO_CLASS = 'background'  # a folder of images without tags

# Functions that a one-hot file may call, whatever modules it names: those of
# numpy's own pickles, and the one for bytes that Python 3 wrote for Python 2.
FUNCTIONS = dict(
    ndarray=np.ndarray,
    dtype=np.dtype,
    _reconstruct=np.zeros(1).__reduce__()[0],
    scalar=np.int8().__reduce__()[0],
    encode=lambda text, _: text.encode('latin-1'))


def read_masks(folder: str, options: Namespace) -> Read:
    """Read the classes that have a pixel in the mask NAME.png."""
    classes = options.classes

    def read(path):
        return tags_in_mask(read_mask(path, len(classes) + 1), classes)

    return classes, _read_each(read, folder, options.names, '.png')


def read_xml(folder: str, options: Namespace) -> Read:
    """Read the objects in the annotation NAME.xml, as VOC writes it."""

    def read(path):
        try:
            objects = ElementTree.parse(path).findall('object')
        # The last two are raised for encodings that Python does not know.
        except (ElementTree.ParseError, LookupError, ValueError) as error:
            raise UserError(f'{path}: not an XML file, or a damaged one '
                            f'({error}). Copy the file again.') from error
        return [
            item.findtext('name', '').strip() for item in objects
            if options.difficult != 'drop'
            or item.findtext('difficult', '').strip() != '1'
        ]

    return None, _read_each(read, folder, options.names, '.xml')


def _read_each(read: Callable, folder: str, names: Sequence[str],
               suffix: str) -> Dict[str, Sequence[str]]:
    """Read the file of each image."""
    paths = [osp.join(folder, name + suffix) for name in names]
    missing = [path for path in paths if not osp.isfile(path)]
    if missing:
        raise MissingFileError(
            f'{len(missing)} of {len(paths)} files are missing: '
            f'{format_names(missing)}. Give their folder with --folder, other '
            'images with --list, or another source with --from.')
    return dict(
        zip(names, parallel_map(read, paths, description='Reading tags')))


def read_coco(path: str, options: Namespace) -> Read:
    """Read the categories of the annotations in a file of COCO's format."""
    content = load_json(path)
    try:
        images = {
            one['id']: one['file_name'].strip()
            for one in content['images']
        }
        categories = {
            one['id']: one['name'].strip()
            for one in content['categories']
        }
        for section, found in (('images', images), ('categories', categories)):
            if len(found) < len(content[section]):
                raise UserError(f'{path}: several {section} have the same id. '
                                'Give each its own.')
        labels = {name: [] for name in images.values()}
        for number, item in enumerate(content['annotations']):
            image, category = item['image_id'], item['category_id']
            if image not in images or category not in categories:
                raise UserError(
                    f'{path}: annotations[{number}] is of image {image!r} and '
                    f'category {category!r}. The file does not list both.')
            if options.crowd != 'drop' or not item.get('iscrowd'):
                labels[images[image]].append(categories[category])
    except (AttributeError, KeyError, TypeError) as error:
        found = f'no {error}' if isinstance(error, KeyError) else error
        raise UserError(
            f'{path}: not in the format of COCO: {found}. Give a file with '
            'images, annotations and categories, as '
            'instances_train2014.json.') from error
    return [categories[number] for number in sorted(categories)], labels


def read_folders(folder: str, options: Namespace) -> Read:
    """Read the folder of each image: cat/1.jpg, dog/outdoors/2.jpg."""
    if not osp.isdir(folder):
        raise MissingFileError(f'{folder}: no such folder. Give the folder of '
                               'the folders with --folder.')
    files = fileio.list_dir_or_file(folder, list_dir=False, recursive=True)
    paths = [
        normalize_nfc(path) for path in files
        if strip_image_suffix(path) != path
    ]
    outside = sorted(path for path in paths if '/' not in path)
    if outside:
        raise UserError(
            f'{folder}: not in the folder of a class: '
            f'{format_names(outside)}. Move images without tags to '
            f'{NO_CLASS!r}.')
    folders = fileio.list_dir_or_file(folder, list_file=False)
    classes = {*map(normalize_nfc, folders)} - {NO_CLASS}
    return sorted(classes), {
        path: classes & {path.partition('/')[0]}
        for path in paths
    }


def read_onehot(path: str, options: Namespace) -> Read:
    """Read the ones in a dictionary ``{name: array of shape (C, )}``.

    This is the published ``cls_labels_onehot.npy``, a pickle that
    :func:`numpy.save` wrote. No code in the file runs.
    """
    content = read_bytes(path, 'no such file. Name it with --file.')
    try:
        arrays = _load_dictionary(BytesIO(content))
    except Exception as error:  # damage raises errors of any kind
        raise UserError(
            f'{path}: not a dictionary with an array of 0 and 1 for each '
            f'image, as numpy.save writes it ({error}). Nothing in the file '
            'was run.') from error
    classes, labels = options.classes, {}
    for name, array in arrays.items():
        if array.shape != (len(classes), ):
            raise UserError(
                f'{path}: found shape {array.shape} for {name!r}, expected a '
                f'number for each of {len(classes)} classes. List the classes '
                'with --classes.')
        wrong = (array != 0) & (array != 1)
        if wrong.any():
            raise UserError(f'{path}: found {array[wrong][0]:g} for {name!r},'
                            ' expected 0 and 1.')
        labels[name] = [classes[i] for i in np.flatnonzero(array)]
    return classes, labels


class _Unpickler(pickle.Unpickler):
    """Import nothing, and call no functions but those above."""

    def find_class(self, module: str, name: str) -> Callable:
        if name not in FUNCTIONS:
            raise ValueError(f"it asks for '{module}.{name}'")
        return FUNCTIONS[name]


def _load_dictionary(file: BinaryIO) -> Dict[str, np.ndarray]:
    """Do what numpy.load(file, allow_pickle=True).item() does, safely."""
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    # Bytes, because Python 2 does not separate them from text.
    content = _Unpickler(file, encoding='bytes').load().item()
    return {
        key.decode() if isinstance(key, bytes) else str(key):
        np.array(value, float)
        for key, value in content.items()
    }


class Source(NamedTuple):
    """A source of tags, and its defaults of the command's options."""
    read: Callable[[str, Namespace], Read]
    path: Optional[str] = None  # of --file
    classes: Optional[str] = None  # of --classes
    lists: Sequence[str] = ()  # of --list
    option: Optional[str] = None  # an option that only this source has


LISTS = ['ImageSets/Segmentation/trainaug.txt']
SOURCES = dict(
    masks=Source(read_masks, 'SegmentationClassAug', 'voc', LISTS),
    xml=Source(read_xml, 'Annotations', 'voc', LISTS, 'difficult'),
    coco=Source(read_coco, option='crowd'),
    csv=Source(read_csv, option='delimiter'),
    json=Source(read_json),
    text=Source(lambda path, _: read_label_file(path)),
    folders=Source(read_folders, 'JPEGImages'),
    onehot=Source(read_onehot, 'cls_labels_onehot.npy', 'voc'))
