# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from masks, annotations, folders and one-hot labels.

image_labels.py is the command, and label_tables.py reads CSV and JSON. Each
reader returns the classes that the source lists, or None, and the tags of each
image. A missing file is a FileNotFoundError and a broken one a ValueError.
"""
import os.path as osp
import pickle
from typing import BinaryIO, Callable, Dict, Sequence
from xml.etree import ElementTree

import numpy as np
from label_tables import Read, load_json
from mmengine import fileio

from mmseg_afa.datasets.image_list import first_few, strip_image_suffix
from mmseg_afa.datasets.mask_file import read_mask, tags_in_mask
from mmseg_afa.utils import parallel_map

NO_CLASS = 'background'  # a folder of images without tags

# All that a one-hot file may call, whatever module it names: the functions in
# numpy's own pickles, and the one for bytes that Python 3 wrote for Python 2.
FUNCTIONS = dict(
    ndarray=np.ndarray,
    dtype=np.dtype,
    _reconstruct=np.zeros(1).__reduce__()[0],
    scalar=np.int8().__reduce__()[0],
    encode=lambda text, _: text.encode('latin-1'))


def read_masks(folder: str, names: Sequence[str],
               classes: Sequence[str]) -> Read:
    """The classes that have a pixel in the mask NAME.png."""

    def read(path):
        return tags_in_mask(read_mask(path, len(classes) + 1), classes)

    return classes, _read_each(read, folder, names, '.png')


def read_xml(folder: str,
             names: Sequence[str],
             difficult: str = 'keep') -> Read:
    """The objects in the annotation NAME.xml, as VOC writes it."""

    def read(path):
        try:
            objects = ElementTree.parse(path).findall('object')
        # The last two are raised for encodings that Python does not know.
        except (ElementTree.ParseError, LookupError, ValueError) as error:
            raise ValueError(f'{path}: no XML file, or a damaged one '
                             f'({error}). Copy it again.') from error
        return [
            item.findtext('name', '').strip() for item in objects
            if difficult != 'drop'
            or item.findtext('difficult', '').strip() != '1'
        ]

    return None, _read_each(read, folder, names, '.xml')


def read_coco(path: str, crowd: str = 'keep') -> Read:
    """The categories of the annotations in a file of COCO's format."""
    content = load_json(path)
    try:
        images = _names(path, content, 'images', 'file_name')
        categories = _names(path, content, 'categories', 'name')
        labels = {name: [] for name in images.values()}
        for number, item in enumerate(content['annotations']):
            image, category = item['image_id'], item['category_id']
            if image not in images or category not in categories:
                raise ValueError(
                    f'{path}: annotations[{number}]: belongs to image '
                    f'{image!r} and category {category!r}, but the file does '
                    'not list both.')
            if crowd != 'drop' or not item.get('iscrowd'):
                labels[images[image]].append(categories[category])
    except (AttributeError, KeyError, TypeError) as error:
        found = f'no {error}' if isinstance(error, KeyError) else error
        raise ValueError(
            f'{path}: not in the format of COCO: {found}. Give a file with '
            'images, annotations and categories, as '
            'instances_train2014.json.') from error
    return [categories[number] for number in sorted(categories)], labels


def read_folders(folder: str) -> Read:
    """The folder that the image is in: cat/1.jpg, dog/outdoors/2.jpg."""
    paths = [
        path for path in fileio.list_dir_or_file(
            folder, list_dir=False, recursive=True)
        if strip_image_suffix(path) != path
    ]
    outside = sorted(path for path in paths if '/' not in path)
    if outside:
        raise ValueError(
            f'{folder}: in no folder of a class: {first_few(outside)}. Move '
            f'images without tags to {NO_CLASS!r}.')
    classes = {*fileio.list_dir_or_file(folder, list_file=False)} - {NO_CLASS}
    return sorted(classes), {
        path: classes & {path.partition('/')[0]}
        for path in paths
    }


def read_onehot(path: str, classes: Sequence[str]) -> Read:
    """The ones in a dictionary ``{name: array of shape (C, )}``.

    This is the published ``cls_labels_onehot.npy``, a pickle that
    :func:`numpy.save` wrote. No code in it runs.
    """
    with open(path, 'rb') as file:
        try:
            arrays = _load_dictionary(file)
        except Exception as error:  # damage raises errors of any kind
            raise ValueError(
                f'{path}: no dictionary with an array of 0 and 1 for each '
                f'image, as numpy.save writes it ({error}). Nothing in the '
                'file was run.') from error
    labels = {}
    for name, array in arrays.items():
        if array.shape != (len(classes), ):
            raise ValueError(
                f'{path}: found shape {array.shape} for {name!r}, expected a '
                f'number for each of {len(classes)} classes. Say the classes '
                'with --classes.')
        wrong = (array != 0) & (array != 1)
        if wrong.any():
            raise ValueError(f'{path}: found {array[wrong][0]:g} for {name!r},'
                             ' expected 0 and 1.')
        labels[name] = [classes[i] for i in np.flatnonzero(array)]
    return classes, labels


def _read_each(read: Callable, folder: str, names: Sequence[str],
               suffix: str) -> Dict[str, Sequence[str]]:
    """Read the file of each image."""
    paths = [osp.join(folder, name + suffix) for name in names]
    missing = [path for path in paths if not osp.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} files are missing: '
            f'{first_few(missing)}. Give their folder with --folder, other '
            'images with --list, or another source with --from.')
    return dict(
        zip(names, parallel_map(read, paths, description='Reading tags')))


def _names(path: str, content: dict, section: str, field: str) -> dict:
    """The names in a section of a COCO file under their ids."""
    names = {}
    for item in content[section]:
        if item['id'] in names:
            raise ValueError(f'{path}: several {section} have the id '
                             f'{item["id"]!r}: give each its own.')
        names[item['id']] = item[field].strip()
    return names


class _Unpickler(pickle.Unpickler):
    """Imports nothing, and knows no functions but those above."""

    def find_class(self, module: str, name: str) -> Callable:
        if name not in FUNCTIONS:
            raise ValueError(f"it asks for '{module}.{name}'")
        return FUNCTIONS[name]


def _load_dictionary(file: BinaryIO) -> Dict[str, np.ndarray]:
    """What numpy.load(file, allow_pickle=True).item() would give."""
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    # Bytes, because Python 2 made no difference between them and text.
    content = _Unpickler(file, encoding='bytes').load().item()
    return {
        key.decode() if isinstance(key, bytes) else str(key):
        np.array(value, float)
        for key, value in content.items()
    }
