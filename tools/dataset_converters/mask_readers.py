# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read masks of CVAT, Label Studio, COCO, labelme, and colour pictures.

A reader gets a path and the command's options. It yields pairs: the place of
an image, for messages, and a function that returns its `Drawing`, or None if
nobody annotated the image. A later region covers an earlier one.
"""
import json
import re
import zipfile
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Iterable, NamedTuple, Optional, Tuple

import cv2
import numpy as np
from coco2014 import find_region
from label_photos import UPLOAD, find_name, index_names, path_of
from label_tables import explain, load_json
from PIL.Image import MAX_IMAGE_PIXELS as MAX_PIXELS
from PIL.Image import open as open_image

from mmseg_afa.datasets.image_files import (is_hidden, read_text,
                                            strip_image_suffix)
from mmseg_afa.datasets.label_file import normalize_name
from mmseg_afa.datasets.transforms.load_image import LoadWeakImage
from mmseg_afa.utils import IGNORE_INDEX

OTHER_LABELS = dict.fromkeys(['ignore', 'unsure', '__ignore__'], IGNORE_INDEX)
OTHER_LABELS.update(background=0, _background_=0)
PNG = 'a folder or zip archive with '


class Drawing(NamedTuple):
    """The labelled regions of an image, bool (H, W)."""
    path: str
    size: Optional[Tuple[int, int]]  # None: only the photo shows it
    regions: Iterable[Tuple[str, np.ndarray]]


def read_masks(options, classes, photos):
    """Yield name, mask and labels of each image, None if not annotated."""
    ids = dict(OTHER_LABELS)
    ids.update((name, i) for i, name in enumerate(classes, 1))
    read, expected = SOURCES[options.source]
    index = index_names(photos or ())
    for where, draw in read(options.file, options):
        with explain(where, expected):
            drawing = draw()
            yield drawing and paint(drawing, ids, photos, index)


def paint(drawing, ids, photos, index):
    """Paint the regions of an image: its name, mask, and unknown labels."""
    name = photo_name(drawing.path, index)
    size, unknown = drawing.size, set()
    if photos:
        size = LoadWeakImage()(dict(img_path=photos[name]))['ori_shape']
    if size is None:
        raise ValueError('found an empty annotation: give --photos')
    if drawing.size not in (None, size) or np.prod(size) > MAX_PIXELS:
        raise ValueError(f'found height and width {drawing.size}, expected '
                         f'those of the photo, {size}, at most {MAX_PIXELS} '
                         'pixels')
    mask = np.zeros(size, np.uint8)
    for label, region in drawing.regions:
        if label not in ids:
            unknown.add(label)
        mask[region] = ids.get(label, 0)
    return name, mask, unknown


def photo_name(path, index):
    """Name the photo at a path, which may lie in other folders elsewhere."""
    name = strip_image_suffix(normalize_name(path))
    photo = find_name(name, index)
    parts = PurePosixPath(name).parts
    outside = '..' in parts or not parts or parts[0].endswith((':', '/'))
    if photo is None and (index or outside):
        raise ValueError(f'found the image {path!r}, which is not among the '
                         'photos (--photos)')
    return photo or name


def open_files(path):
    """List functions that open the files of a folder, zip archive or file."""
    if Path(path).is_dir():
        files = {
            file.relative_to(path).as_posix(): partial(open, file, 'rb')
            for file in Path(path).rglob('*.*')
        }
    elif zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)
        files = {n: partial(archive.open, n) for n in archive.namelist()}
    else:
        files = {Path(path).name: partial(open, path, 'rb')}
    return {name: files[name] for name in sorted(files) if not is_hidden(name)}


def read_pictures(path, options):
    """Read pictures in the colours of a table, or of CVAT's labelmap.txt."""
    files, start, where = open_files(path), '', options.colours
    if where:
        text = read_text(where, 'no such table of colours.')
    else:
        where, = [n for n in files if n.endswith('labelmap.txt')] or ['']
        if not where:
            raise ValueError('found no labelmap.txt')
        start = where.replace('labelmap.txt', 'SegmentationClass/')
        text = files[where]().read().decode('utf-8-sig')
    table = read_colours(text, where)
    for name in files:
        if name.startswith(start) and name.lower().endswith('.png'):
            yield f'{path}: {name}', partial(read_picture, name[len(start):],
                                             files[name], table)


def read_colours(text, where):
    """Read lines 'name,r,g,b', or 'name:r,g,b::' as CVAT writes them."""
    table = {}
    for number, line in enumerate(text.splitlines(), 1):
        found = re.fullmatch(
            r'"?(.+?)"?\s*[:,]\s*(\d+)[,\s]+(\d+)[,\s]+(\d+)'
            r'\s*(:.*)?', line.strip())
        if not found:
            if line.strip() and not re.match('#|name,', line):
                raise ValueError(f'{where}:{number}: found {line!r}, expected '
                                 'name,r,g,b')
            continue
        code = tuple(map(int, found.groups()[1:4]))
        if max(code) > 255 or code in table:
            raise ValueError(f'{where}:{number}: the colour {code} exceeds '
                             '255, or another line has it')
        table[code] = found[1]
    return table


def read_picture(name, open_file, table):
    """Find the colours of a picture."""
    with open_file() as file, open_image(file) as image:
        pixels = np.asarray(image.convert('RGB')) @ [1 << 16, 1 << 8, 1]
    names = {r << 16 | g << 8 | b: name for (r, g, b), name in table.items()}
    values, counts = np.unique(pixels, return_counts=True)
    for value, count in zip(values.tolist(), counts):
        if value not in names:
            raise ValueError(
                f'found the colour {tuple(value.to_bytes(3, "big"))} at '
                f'{count} pixels, which the table of colours lacks')
    return Drawing(name, pixels.shape,
                   ((names[value], pixels == value) for value in values))


def read_labelstudio(path, options):
    """Read the tasks of a project of Label Studio, exported as JSON."""
    for number, task in enumerate(load_json(path), 1):
        yield f'{path}: task {number}', partial(read_task, task)


def read_task(task):
    """Read the last annotation of a task that was not cancelled."""
    submitted = [a for a in task['annotations'] if not a.get('was_cancelled')]
    if not submitted:
        return None
    last = max(
        reversed(submitted),
        key=lambda one: one.get('updated_at') or one.get('created_at') or '')
    results = [one for one in last['result'] if one['type'].endswith('labels')]
    size = None  # of an empty annotation
    for one in results:
        size = one['original_height'], one['original_width']
        if one.get('image_rotation'):
            raise ValueError('found a rotated image')

    def region(one):
        value = one['value']
        if one['type'] == 'brushlabels':
            return decode_rle(value['rle'], size)
        if one['type'] != 'polygonlabels':
            raise ValueError(f'found {one["type"]!r}')
        return draw(size, 'polygon',
                    np.array(value['points']) / 100 * size[::-1])

    regions = ((label, region(one)) for one in results
               for label in one['value'][one['type']])
    return Drawing(local_path(task['data']['image']), size, regions)


def local_path(address):
    """Find the path in an address of Label Studio; see formats.py."""
    path = path_of(address)
    if '?d=' in address:
        return path.partition('/')[2]
    return UPLOAD.sub('', PurePosixPath(path).name)


def decode_rle(code, size):
    """Decode run lengths of Label Studio; see `encode_rle` in formats.py."""
    bits = np.unpackbits(np.array(code, np.uint8))
    text, position = ''.join(map(str, bits.tolist())), 0

    def read(count):
        nonlocal position
        position += count
        return int(text[position - count:position], 2)

    total = 4 * size[0] * size[1]
    found, width = read(32), read(5) + 1
    if found != total or width != 8:
        raise ValueError(f'found {found} values of {width} bits, expected '
                         f'{total} of 8 bits')
    lengths, values = [read(4) + 1 for _ in range(4)], []
    while total > 0:
        repeated, length = read(1), read(lengths[read(2)]) + 1
        stored = 1 if repeated else length
        part = np.packbits(bits[position:position + 8 * stored])
        position += 8 * stored
        values.append(np.repeat(part, length) if repeated else part)
        total -= length
    return np.concatenate(values).reshape(*size, 4)[..., 3] > 127


def read_coco(path, options):
    """Read polygons and run lengths; a smaller region covers a larger one."""
    from pycocotools.coco import COCO
    content = load_json(path)
    if isinstance(content, list):  # results, as predict.py exports them
        images = load_json(str(Path(path).with_name('images.json')))
        results = [dict(one, id=i) for i, one in enumerate(content)]
        content = dict(images, annotations=results)
    coco = COCO()
    coco.dataset = content
    with redirect_stdout(None):
        coco.createIndex()

    def read(image):
        regions = [(coco.cats[one['category_id']]['name'],
                    find_region(coco, one))
                   for one in coco.imgToAnns[image['id']]]
        regions.sort(key=lambda one: -one[1].sum())
        return Drawing(image['file_name'], (image['height'], image['width']),
                       regions)

    for image in content['images']:
        yield f'{path}: image {image["file_name"]!r}', partial(read, image)


def read_labelme(path, options):
    """Read the shapes in labelme's files, one for each image."""
    for name, open_file in open_files(path).items():
        if name.endswith('.json'):
            yield f'{path}: {name}', partial(read_shapes, name, open_file)


def read_shapes(name, open_file):
    """Read the file of an image, which lies in the same subfolder."""
    with open_file() as file:
        content = json.load(file)
    size = content['imageHeight'], content['imageWidth']
    image = PurePosixPath(content['imagePath'].replace('\\', '/')).name
    regions = ((one['label'],
                draw(size, one.get('shape_type', 'polygon'), one['points']))
               for one in content['shapes'])
    return Drawing(str(PurePosixPath(name).with_name(image)), size, regions)


def draw(size, kind, points):
    """Draw a shape by its points (x, y): bool (H, W)."""
    region = np.zeros(size, np.uint8)
    points = np.rint(points).astype(np.int32)
    if kind == 'polygon' and len(points) > 2:
        cv2.fillPoly(region, [points], 1)
    elif kind == 'rectangle' and len(points) == 2:
        cv2.rectangle(region, *points.tolist(), 1, cv2.FILLED)
    elif kind == 'circle' and len(points) == 2:
        radius = round(np.hypot(*(points[1] - points[0])))
        cv2.circle(region, points[0].tolist(), radius, 1, cv2.FILLED)
    else:
        raise ValueError(f'found a {kind} of {len(points)} points')
    return region.astype(bool)


SOURCES = dict(
    cvat=(read_pictures, f'{PNG}labelmap.txt and SegmentationClass/NAME.png'),
    labelstudio=(read_labelstudio, "Label Studio's JSON with brushlabels and "
                 'polygonlabels'),
    coco=(read_coco, "COCO's JSON with images, categories and annotations"),
    labelme=(read_labelme, "labelme's JSON: polygons, rectangles, circles"),
    colours=(read_pictures, f'{PNG}NAME.png in the colours of --colours'))
