# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Export masks in the formats of other tools.

Each writer is a function ``write(masks, out)``. It takes the masks of one
source, at least one, and the output folder. It reads one mask at a time, and
returns the path of the main file. datumaro and label-studio-sdk would install
an older OpenCV.
"""
import json
import os
import re
import shutil
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Sequence
from urllib.parse import quote
from xml.etree.ElementTree import Element, ElementTree, SubElement

import cv2
import mmengine
import numpy as np
from mmseg.datasets import PascalVOCDataset

from ..datasets.mask_file import encode_mask
from ..utils import IGNORE_INDEX, UserError, progress, replacing
from .photo_mask import PhotoMask
from .photos import Photo

# competition 6: trained with other data than VOC's own
VOC_FOLDER = 'results/VOC2012/Segmentation/comp6_test_cls'
VOC_IMAGES = 1456  # of the test set


def check_format(name: str, photos: Sequence[Photo],
                 classes: Sequence[str]) -> None:
    """Check that a format can be written, before anything is predicted.

    Raises:
        UserError: If the format needs a library that is not installed, or
            does not accept these photos or classes.
    """
    if name == 'coco' and find_spec('pycocotools') is None:
        raise UserError('--format coco needs pycocotools: '
                        'pip install "mmseg_afa[formats]".')
    if name == 'voc-server':
        named = all(re.fullmatch(r'\d{4}_\d{6}', p.name) for p in photos)
        voc = tuple(classes) == PascalVOCDataset.METAINFO['classes']
        if not named or not voc or len(photos) != VOC_IMAGES:
            raise UserError(
                f'--format voc-server: the server takes the {VOC_IMAGES} '
                "images of VOC's test set, with VOC's classes. Found "
                f'{len(photos)} photos, such as {photos[0].name!r}, with the '
                f'classes {", ".join(classes)}. Name the folder JPEGImages '
                'and, with --list, ImageSets/Segmentation/test.txt.')


def write_coco(masks: Sequence[PhotoMask],
               out: Path,
               instances: bool = False) -> Path:
    """Write ``out/coco/results.json``, run lengths with scores.

    ``COCO.loadRes`` reads the file. The images and the categories are in
    ``out/coco/images.json``. With `instances` each connected part of a class
    is one result. The background is left out.
    """
    from pycocotools.mask import encode
    images, classes = [], masks[0].classes
    ids = coco_image_ids([mask.photo.name for mask in masks])

    def results() -> Iterator[dict]:
        for number, mask in zip(progress(ids, 'coco'), masks):
            pixels, record = mask.read(), mask.record()
            height, width = pixels.shape
            file_name = mask.photo.name + Path(mask.photo.path).suffix
            images.append(
                dict(
                    id=number, file_name=file_name, height=height,
                    width=width))
            for i in foreground(pixels):
                count, parts = 2, np.uint8(pixels == i)
                if instances:
                    count, parts = cv2.connectedComponents(parts)
                for part in range(1, count):
                    code = encode(np.asfortranarray(parts == part, np.uint8))
                    # Without bbox: loadRes would read a detection.
                    yield dict(
                        image_id=number,
                        category_id=i,
                        segmentation=dict(
                            size=[height, width],
                            counts=code['counts'].decode()),
                        score=record.confidence(classes[i]))

    path = write_json_list(out / 'coco' / 'results.json', results())
    categories = [dict(id=i, name=name) for i, name in enumerate(classes) if i]
    mmengine.dump(
        dict(images=images, categories=categories, annotations=[]),
        path.with_name('images.json'),
        ensure_ascii=False)
    return path


def coco_image_ids(names: Sequence[str]) -> Sequence[int]:
    """Read COCO's ids, as in 'COCO_val2014_000000000042', or count 1, 2..."""
    found = [re.search(r'(?:^|[/_])(\d{12})$', name) for name in names]
    if all(found):
        return [int(match[1]) for match in found]
    return range(1, len(names) + 1)


def write_labelstudio(masks: Sequence[PhotoMask], out: Path) -> Path:
    """Write ``out/labelstudio/tasks.json``, with predictions.

    The labelling interface is in ``config.xml``. docs/masks.md tells how
    Label Studio finds the photos. The score of a task is the lowest among its
    classes.
    """
    classes = masks[0].classes

    def tasks() -> Iterator[dict]:
        for mask in progress(masks, 'labelstudio'):
            pixels, record = mask.read(), mask.record()
            height, width = pixels.shape
            shown = foreground(pixels)
            result = [
                dict(
                    id=f'{i}',
                    type='brushlabels',
                    from_name='tag',
                    to_name='image',
                    original_width=width,
                    original_height=height,
                    image_rotation=0,
                    score=record.confidence(classes[i]),
                    value=dict(
                        format='rle',
                        rle=encode_rle(pixels == i),
                        brushlabels=[classes[i]])) for i in shown
            ]
            score = min(record.confidence(classes[i]) for i in shown or [0])
            prediction = dict(
                model_version='mmseg_afa', score=score, result=result)
            yield dict(
                data=dict(image=local_address(mask.photo)),
                predictions=[prediction])

    path = write_json_list(out / 'labelstudio' / 'tasks.json', tasks())
    view = Element('View')
    SubElement(view, 'Image', name='image', value='$image')
    labels = SubElement(view, 'BrushLabels', name='tag', toName='image')
    for name, colour in list(zip(classes, masks[0].palette))[1:]:
        colour = '#{:02x}{:02x}{:02x}'.format(*colour)
        SubElement(labels, 'Label', value=name, background=colour)
    ElementTree(view).write(path.with_name('config.xml'), 'utf-8')
    return path


def encode_rle(mask: np.ndarray) -> List[int]:
    """Encode a mask, bool (H, W), in the run lengths of Label Studio, bytes.

    The bits are: the number of values (four per pixel, RGBA), the bits per
    value - 1, the bits of each size of length - 1. For each run follow '1',
    the index of the size (here the last), the length - 1, and the value.
    """
    flat = mask.ravel()
    # A run ends where the value changes, and where its length would need more
    # than 16 bits.
    full = np.arange(flat.size) % 2**14 == 0
    starts = np.flatnonzero(np.diff(flat, prepend=flat[:1]) | full)
    lengths = 4 * np.diff(starts, append=flat.size)
    runs = (0b111 << 24) + ((lengths - 1) << 8) + 255 * flat[starts]
    bits = f'{4 * flat.size:032b}{8 - 1:05b}'
    bits += ''.join(f'{size - 1:04b}' for size in (3, 4, 8, 16))
    bits += ''.join(f'{run:027b}' for run in runs.tolist())
    return np.packbits(np.array(list(bits), np.uint8)).tolist()


def local_address(photo: Photo) -> str:
    """Make the address at which Label Studio serves a photo.

    Its document root is the parent of the folder in which photos are named.
    """
    depth = photo.name.count('/') + 2
    parts = Path(os.path.abspath(photo.path)).parts[-depth:]
    return f'/data/local-files/?d={quote("/".join(parts))}'


def write_cvat(masks: Sequence[PhotoMask], out: Path) -> Path:
    """Write ``out/cvat.zip`` in CVAT's format "Segmentation mask 1.1".

    Connected parts of a class become objects. Ignored pixels (255) become
    background, because the format has no other value for them.
    """
    labels = [
        '{}:{},{},{}::\n'.format(name, *colour)
        for name, colour in zip(masks[0].classes, masks[0].palette)
    ]
    path = out / 'cvat.zip'
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, \
            zipfile.ZipFile(unfinished, 'w') as archive:
        archive.writestr('labelmap.txt', ''.join(labels))
        archive.writestr('ImageSets/Segmentation/default.txt',
                         ''.join(f'{mask.photo.name}\n' for mask in masks))
        for mask in progress(masks, 'cvat'):
            pixels, name = mask.read(), f'{mask.photo.name}.png'
            pixels[pixels == IGNORE_INDEX] = 0
            archive.writestr(f'SegmentationClass/{name}',
                             encode_mask(pixels, mask.palette))
            archive.writestr(f'SegmentationObject/{name}',
                             encode_mask(number_objects(pixels)))
    return path


def number_objects(mask: np.ndarray) -> np.ndarray:
    """Assign numbers to the connected parts of each class, at most 255."""
    found, total = np.zeros(mask.shape, np.int32), 0
    for i in foreground(mask):
        count, parts = cv2.connectedComponents((mask == i).astype(np.uint8))
        found = np.where(parts > 0, parts + total, found)
        total += count - 1
    return found.astype(np.uint8) if total <= 255 else mask


def write_yolo(masks: Sequence[PhotoMask], out: Path) -> Path:
    """Write ``out/yolo/data.yaml`` for Ultralytics' semantic segmentation.

    The folder replaces that of an earlier export. It has images/train and
    masks/train, see https://docs.ultralytics.com/datasets/semantic. Photos
    are copies, because Ultralytics repairs JPEG files in place. Ultralytics
    finds a mask by the last folder 'images' in the path of a photo. Other
    folders of this name become 'images_'.
    """
    folder = out / 'yolo'
    shutil.rmtree(folder, ignore_errors=True)
    for mask in progress(masks, 'yolo'):
        name = re.sub('(^|/)images(?=/)', r'\1images_', mask.photo.name)
        suffix = Path(mask.photo.path).suffix
        for source, copy in ((mask.photo.path, f'images/train/{name}{suffix}'),
                             (mask.path, f'masks/train/{name}.png')):
            (folder / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / copy)
    data = dict(
        train='images/train',
        val='images/train',
        masks_dir='masks',
        names=dict(enumerate(masks[0].classes)))
    mmengine.dump(
        data, folder / 'data.yaml', allow_unicode=True, sort_keys=False)
    return folder / 'data.yaml'


def write_voc_server(masks: Sequence[PhotoMask], out: Path) -> Path:
    """Write ``out/voc-server.tgz`` for the evaluation server of VOC 2012.

    Raises:
        UserError: If a mask has ignored pixels.
    """
    path = out / 'voc-server.tgz'
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, \
            tarfile.open(unfinished, 'w:gz') as archive:
        for mask in progress(masks, 'voc-server'):
            if (mask.read() == IGNORE_INDEX).any():
                raise UserError(
                    f'{mask.path}: has pixels of 255, which the server does '
                    'not accept. Leave out --unsure, and use a --source other '
                    'than labels.')
            archive.add(mask.path, f'{VOC_FOLDER}/{mask.photo.name}.png')
    return path


def foreground(mask: np.ndarray) -> List[int]:
    """List the foreground classes that have a pixel in a mask."""
    return [int(i) for i in np.unique(mask) if i not in (0, IGNORE_INDEX)]


def write_json_list(path: Path, items: Iterable[dict]) -> Path:
    """Write a JSON list item by item, completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, \
            open(unfinished, 'w', encoding='utf-8') as file:
        file.write('[\n')
        for i, item in enumerate(items):
            file.write(',\n' * (i > 0) + json.dumps(item, ensure_ascii=False))
        file.write('\n]\n')
    return path


FORMATS: Dict[str, Callable[..., Path]] = {
    'coco': write_coco,
    'labelstudio': write_labelstudio,
    'cvat': write_cvat,
    'yolo': write_yolo,
    'voc-server': write_voc_server,
}
