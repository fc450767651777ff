# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read tags from masks, annotations, folders and one-hot labels.

`SOURCES` lists the sources of image_labels.py. A reader gets a path and the
command's options, with two more: `names`, the images of the list without
suffix, and `classes`, the foreground classes or None. It returns the classes
that the source lists, or None, and the tags of each image, or None for an
image that is not tagged yet.
"""
import os.path as osp
import pickle
from argparse import Namespace
from io import BytesIO
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence
from xml.etree import ElementTree

import numpy as np
from label_choice import note
from label_projects import (read_cvat, read_fiftyone, read_labelstudio,
                            read_names, read_yolo)
from label_tables import Read, load_json, read_csv, read_json, read_jsonl

from mmseg_afa.datasets import read_label_file
from mmseg_afa.datasets.image_files import (IMAGE_SUFFIXES, MissingFileError,
                                            describe_left_out, format_names,
                                            list_images, normalize_nfc,
                                            read_bytes, read_text,
                                            strip_image_suffix)
from mmseg_afa.datasets.mask_file import read_mask
from mmseg_afa.utils import UserError, parallel_map

NO_CLASS = 'background'  # a folder of images without tags

# Functions that a one-hot file may call, whatever modules it names: those of
# numpy's own pickles, and the one for bytes in protocol 2.
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
        return np.unique(read_mask(path, len(classes) + 1))

    values = read_each(read, folder, options.names, '.png')
    labels = {
        name: [classes[one - 1] for one in found if 0 < one <= len(classes)]
        for name, found in values.items()
    }
    if not any(labels.values()):
        found = sorted(set().union(*(map(int, v) for v in values.values())))
        raise UserError(
            f'{folder}: no mask shows a class. The masks hold only {found}, '
            'and 255 is ignored. Save the classes as the numbers 1 to '
            f'{len(classes)}.')
    return classes, labels


def read_xml(folder: str, options: Namespace) -> Read:
    """Read the objects in the annotation NAME.xml, as VOC writes it."""

    def read(path):
        try:
            objects = ElementTree.parse(path).findall('object')
        except ElementTree.ParseError as error:
            raise UserError(f'{path}: not an XML file, or a damaged one '
                            f'({error}). Copy the file again.') from error
        return [item.findtext('name', '').strip() for item in objects]

    return None, read_each(read, folder, options.names, '.xml')


def read_each(read: Callable, folder: str, names: Sequence[str],
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
    content = load_json(path, read_text(path, 'no such file.'))
    try:
        images = {one['id']: one['file_name'] for one in content['images']}
        categories = {
            one['id']: one['name'].strip()
            for one in content['categories']
        }
        labels = {name: [] for name in images.values()}
        for item in content['annotations']:
            name = images[item['image_id']]
            labels[name].append(categories[item['category_id']])
        used = {item['category_id'] for item in content['annotations']}
        parents = {
            one.get('supercategory')
            for one in content['categories']
            if one.get('supercategory') != one['name']
        }
        for number in categories.keys() - used:
            if categories[number] in parents:
                note(f'{path}: left out {categories.pop(number)!r}, which '
                     'holds other categories and has no annotation.')
    except (AttributeError, KeyError, TypeError) as error:
        found = f'no {error}' if isinstance(error, KeyError) else error
        raise UserError(
            f'{path}: not in the format of COCO: {found}. Give a file with '
            'images, annotations and categories, as '
            'instances_train2014.json.') from error
    return [categories[number] for number in sorted(categories)], labels


def read_folders(folder: str, options: Namespace) -> Read:
    """Read the folder of each image: cat/1.jpg, dog/outdoors/2.jpg."""
    images, others = list_images(folder, IMAGE_SUFFIXES)
    if others:
        print(f'{folder}: {describe_left_out(others)}')
    names = [normalize_nfc(strip_image_suffix(image)) for image in images]
    outside = [name for name in names if '/' not in name]
    if outside:
        raise UserError(
            f'{folder}: not in the folder of a class: '
            f'{format_names(outside)}. Move images without tags to '
            f'{NO_CLASS!r}.')
    labels = {name: {name.partition('/')[0]} - {NO_CLASS} for name in names}
    return None, labels


def read_onehot(path: str, options: Namespace) -> Read:
    """Read the ones in a dictionary ``{name: array of shape (C, )}``.

    This is the published ``cls_labels_onehot.npy``, a pickle that
    :func:`numpy.save` wrote. No code in the file runs.
    """
    file = BytesIO(read_bytes(path, 'no such file. Name it with --file.'))
    try:
        # As numpy.load(path, allow_pickle=True).item(), but safe.
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        arrays = {
            name_of(name): np.array(array, float)
            for name, array in _Unpickler(file).load().item().items()
        }
    except Exception as error:  # damage raises errors of any kind
        raise UserError(
            f'{path}: not a dictionary with an array of 0 and 1 for each '
            f'image, as numpy.save writes it ({error}). Nothing in the file '
            'was run.') from error
    classes = options.classes
    for name, array in arrays.items():
        if array.shape != (len(classes), ) or not np.isin(array, (0, 1)).all():
            raise UserError(
                f'{path}: found {array.tolist()} for {name!r}, expected 0 or '
                f'1 for each of {len(classes)} classes. List the classes with '
                '--classes.')
    return classes, {
        name: [classes[number] for number in np.flatnonzero(array)]
        for name, array in arrays.items()
    }


def name_of(key: Any) -> str:
    """Return an image's name; 2007000032 was 2007_000032 in VOC."""
    name = str(key)
    whole = isinstance(key, (int, np.integer)) and len(name) == 10
    return f'{name[:4]}_{name[4:]}' if whole else name


class _Unpickler(pickle.Unpickler):
    """Import nothing, and call no functions but those above."""

    def find_class(self, module: str, name: str) -> Callable:
        if name not in FUNCTIONS:
            raise ValueError(f"it asks for '{module}.{name}'")
        return FUNCTIONS[name]


class Source(NamedTuple):
    """A source of tags, and its defaults of the command's options."""
    read: Callable[[str, Namespace], Read]
    path: Optional[str] = None  # of --file
    classes: Optional[str] = None  # of --classes
    lists: Sequence[str] = ()  # of --list


LISTS = ['ImageSets/Segmentation/trainaug.txt']
SOURCES = dict(
    masks=Source(read_masks, 'SegmentationClassAug', 'voc', LISTS),
    xml=Source(read_xml, 'Annotations', 'voc', LISTS),
    coco=Source(read_coco),
    csv=Source(read_csv),
    json=Source(read_json),
    jsonl=Source(read_jsonl),
    text=Source(lambda path, _: read_label_file(path)),
    folders=Source(read_folders, 'JPEGImages'),
    onehot=Source(read_onehot, 'cls_labels_onehot.npy', 'voc'),
    labelstudio=Source(read_labelstudio),
    cvat=Source(read_cvat),
    yolo=Source(read_yolo, ''),
    fiftyone=Source(read_fiftyone),
    names=Source(read_names, 'JPEGImages'))
