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
from io import BytesIO
from typing import Callable, NamedTuple, Optional, Sequence
from xml.etree import ElementTree

import numpy as np
from label_projects import (read_coco, read_cvat, read_fiftyone,
                            read_labelstudio, read_names, read_yolo)
from label_tables import explain, read_csv, read_json, read_jsonl

from mmseg_afa.datasets import read_label_file
from mmseg_afa.datasets.image_files import (IMAGE_SUFFIXES, MissingFileError,
                                            describe_left_out, format_names,
                                            list_images, normalize_nfc,
                                            read_bytes, strip_image_suffix)
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


def read_masks(folder, options):
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


def read_xml(folder, options):
    """Read the objects in the annotation NAME.xml, as VOC writes it."""

    def read(path):
        with explain(path, "VOC's XML"):
            objects = ElementTree.parse(path).findall('object')
        return [item.findtext('name', '').strip() for item in objects]

    return None, read_each(read, folder, options.names, '.xml')


def read_each(read, folder, names, suffix):
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


def read_folders(folder, options):
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


def read_onehot(path, options):
    """Read the ones in a dictionary ``{name: array of shape (C, )}``.

    This is the published ``cls_labels_onehot.npy``, a pickle that
    :func:`numpy.save` wrote. No code in the file runs.
    """
    file = BytesIO(read_bytes(path, 'no such file. Name it with --file.'))
    # As numpy.load(path, allow_pickle=True).item(), but safe.
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    arrays = {
        name_of(name): np.array(array, float)
        for name, array in _Unpickler(file).load().item().items()
    }
    classes = options.classes
    for name, array in arrays.items():
        if array.shape != (len(classes), ) or not np.isin(array, (0, 1)).all():
            raise ValueError(
                f'found {array.tolist()} for {name!r}, expected 0 or 1 for '
                f'each of {len(classes)} classes (--classes)')
    return classes, {
        name: [classes[number] for number in np.flatnonzero(array)]
        for name, array in arrays.items()
    }


def name_of(key):
    """Return an image's name; 2007000032 was 2007_000032 in VOC."""
    name = str(key)
    whole = isinstance(key, (int, np.integer)) and len(name) == 10
    return f'{name[:4]}_{name[4:]}' if whole else name


class _Unpickler(pickle.Unpickler):
    """Import nothing, and call no functions but those above."""

    def find_class(self, module, name):
        if name not in FUNCTIONS:
            raise ValueError(f"it asks for '{module}.{name}'")
        return FUNCTIONS[name]


class Source(NamedTuple):
    """A source of tags, and its defaults of the command's options."""
    read: Callable
    format: str  # for messages
    path: Optional[str] = None  # of --file
    classes: Optional[str] = None  # of --classes
    lists: Sequence[str] = ()  # of --list


LISTS = ['ImageSets/Segmentation/trainaug.txt']
SOURCES = dict(
    masks=Source(read_masks, 'PNG', 'SegmentationClassAug', 'voc', LISTS),
    xml=Source(read_xml, "VOC's XML", 'Annotations', 'voc', LISTS),
    coco=Source(read_coco, "COCO's JSON: images, annotations, categories"),
    csv=Source(read_csv, 'a table'),
    json=Source(read_json, 'JSON'),
    jsonl=Source(read_jsonl, 'JSON'),
    text=Source(lambda path, _: read_label_file(path), 'a label file'),
    folders=Source(read_folders, 'a folder for each class', 'JPEGImages'),
    onehot=Source(
        read_onehot, 'a dictionary with an array of 0 and 1 for each image, '
        'as numpy.save writes it. Nothing in the file was run',
        'cls_labels_onehot.npy', 'voc'),
    labelstudio=Source(read_labelstudio, 'JSON, JSON-MIN or CSV of a project'),
    cvat=Source(read_cvat, '"CVAT for images 1.1": <annotations>, <image>'),
    yolo=Source(read_yolo, 'data.yaml with "names: [cat, dog]"', ''),
    fiftyone=Source(read_fiftyone, "FiftyOne's labels.json"),
    names=Source(
        read_names, 'names that fit --pattern, such as "{tags}_{stem}", or '
        '"{stem}-[{onehot}]" with --classes', 'JPEGImages'))


def read_tags(source, path, options):
    """Read the tags of a source; an error names the file and the format."""
    with explain(path, SOURCES[source].format):
        classes, labels = SOURCES[source].read(path, options)
    return classes, {
        image: tags and [normalize_nfc(tag).strip() for tag in tags]
        for image, tags in labels.items()
    }
