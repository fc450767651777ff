# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read exported masks back, also with the libraries of the other tools."""
import json
import sys
import tarfile
import zipfile
from io import BytesIO
from urllib.parse import unquote
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch
import yaml
from mmengine.structures import PixelData
from mmseg.datasets import PascalVOCDataset
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_afa.apis import OutputFolder, Photo, formats
from mmseg_afa.apis.formats import (FORMATS, check_format, coco_image_ids,
                                    encode_rle, number_objects)
from mmseg_afa.utils import UserError

CLASSES = ('background', 'cat & mouse', 'dog')
PALETTE = [[0, 0, 0], [10, 20, 30], [200, 0, 1]]
NAMES = ('a 1', 'sub/ü', 'images/empty')

# two cats and a dog beside ignored pixels; only a dog; nothing
PIXELS = [
    np.full(shape, fill, np.uint8)
    for shape, fill in (((11, 19), 0), ((12, 10), 2), ((10, 15), 0))
]
PIXELS[0][1:3, 1:4] = PIXELS[0][5:, 6:] = 1
PIXELS[0][4, :3], PIXELS[0][:, 5] = 2, 255
KNOWN = [np.where(pixels == 255, 0, pixels) for pixels in PIXELS]


@pytest.fixture(scope='module')
def masks(tmp_path_factory):
    """Write three photos and their masks; the confidence is (class + 1)/4."""
    root = tmp_path_factory.mktemp('masks')
    folder = OutputFolder(root / 'out', dict(sources=['seg']), CLASSES,
                          PALETTE)
    photos = []
    for name, pixels in zip(NAMES, PIXELS):
        path = root / 'in' / f'{name}.JPG'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', pixels.shape[::-1]).save(path, 'JPEG')
        photos.append(Photo(name, str(path)))
        sample, data = SegDataSample(), torch.from_numpy(pixels)[None]
        sample.seg_mask = PixelData(data=data)
        sample.seg_confidence = PixelData(data=(data % 255 + 1) / 4)
        folder.add(photos[-1], sample)
    return folder.masks('seg', photos)


@pytest.mark.parametrize('instances, count', [(False, 3), (True, 4)])
def test_coco(masks, tmp_path, instances, count):
    coco = pytest.importorskip('pycocotools.coco')
    check_format('coco', [], CLASSES)
    path = FORMATS['coco'](masks, tmp_path, instances=instances)
    truth = coco.COCO(str(path.with_name('images.json')))
    found = truth.loadRes(str(path))
    assert len(found.anns) == count
    assert [c['name'] for c in found.cats.values()] == list(CLASSES[1:])
    for (number, image), pixels, name in zip(truth.imgs.items(), KNOWN, NAMES):
        assert image['file_name'] == f'{name}.JPG'
        assert (image['height'], image['width']) == pixels.shape
        label = np.zeros_like(pixels)
        for one in found.imgToAnns[number]:
            part = found.annToMask(one)
            label[part > 0] = one['category_id']
            assert one['area'] == part.sum()
            assert one['score'] == pytest.approx(
                .25 * (one['category_id'] + 1), abs=.003)
            assert list(one['bbox']) == list(cv2.boundingRect(part))
        assert (label == pixels).all()


def test_image_ids_of_coco():
    names = ['COCO_val2014_000000000042', 'val/000000000007']
    assert coco_image_ids(names) == [42, 7]
    assert list(coco_image_ids([*names, 'x'])) == [1, 2, 3]


def decode_rle(code):
    """Read Label Studio's bits step by step, as their description says."""
    bits = np.unpackbits(np.array(code, np.uint8))
    position = 0

    def read(count):
        nonlocal position
        value = int(''.join(map(str, bits[position:position + count])), 2)
        position += count
        return value

    number, width = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    out = []
    while len(out) < number:
        repeated = read(1)
        length = read(sizes[read(2)]) + 1
        out += ([read(width)] *
                length if repeated else [read(width) for _ in range(length)])
    return np.array(out, np.uint8)


@pytest.mark.parametrize('runs', [[1], [3, 1, 2], [0, 5], [7, 2**15 + 3]])
def test_run_lengths_of_label_studio(runs):
    mask = np.concatenate([np.full(n, i % 2 > 0) for i, n in enumerate(runs)])
    code = encode_rle(mask[None])
    assert (decode_rle(code) == np.repeat(mask * 255, 4)).all()


@pytest.mark.parametrize('library', [False, True])
def test_labelstudio(masks, tmp_path, library):
    decode = decode_rle
    if library:
        decode = pytest.importorskip(
            'label_studio_sdk.converter.brush').decode_rle
    path = FORMATS['labelstudio'](masks, tmp_path)
    tasks = json.loads(path.read_text(encoding='utf-8'))
    assert [unquote(task['data']['image']) for task in tasks
            ] == [f'/data/local-files/?d=in/{name}.JPG' for name in NAMES]
    assert tasks[0]['data']['image'].endswith('=in/a%201.JPG')
    scores = [task['predictions'][0]['score'] for task in tasks]
    assert scores == pytest.approx([.5, .75, .25], abs=.003)
    config = ElementTree.parse(path.with_name('config.xml'))
    labels = config.findall('BrushLabels/Label')
    assert [label.get('value') for label in labels] == list(CLASSES[1:])
    assert labels[0].get('background') == '#0a141e'

    if library:
        interface = pytest.importorskip('label_studio_sdk.label_interface')
        interface = interface.LabelInterface(
            path.with_name('config.xml').read_text())
        for task in tasks:
            assert not interface.validate_prediction(
                task['predictions'][0], return_errors=True)
    for task, pixels in zip(tasks, KNOWN):
        label = np.zeros_like(pixels)
        for one in task['predictions'][0]['result']:
            shape = one['original_height'], one['original_width']
            part = decode(one['value']['rle']).reshape(*shape, 4)[..., 3]
            label[part > 0] = CLASSES.index(one['value']['brushlabels'][0])
        assert (label == pixels).all()


def test_cvat(masks, tmp_path):
    """Compare with the layout that CVAT documents: VOC's and a label map."""
    with zipfile.ZipFile(FORMATS['cvat'](masks, tmp_path)) as archive:

        def colours(path):
            return np.array(
                Image.open(BytesIO(archive.read(path))).convert('RGB'))

        assert archive.read('labelmap.txt').decode().splitlines() == [
            'background:0,0,0::', 'cat & mouse:10,20,30::', 'dog:200,0,1::'
        ]
        names = archive.read('ImageSets/Segmentation/default.txt').decode()
        assert names.splitlines() == list(NAMES)
        for name, pixels, count in zip(NAMES, KNOWN, (4, 1, 1)):
            picture = colours(f'SegmentationClass/{name}.png')
            assert (picture == np.array(PALETTE)[pixels]).all()
            parts = colours(f'SegmentationObject/{name}.png').reshape(-1, 3)
            assert len(np.unique(parts, axis=0)) == count


def test_many_objects_of_cvat():
    mask = np.zeros((40, 60), np.uint8)
    mask[::2, ::2] = 1  # 600 parts
    assert (number_objects(mask) == mask).all()
    few = number_objects(mask[:, :20])
    assert len(np.unique(few)) == 201


def test_cvat_in_its_own_library(masks, tmp_path):
    datumaro = pytest.importorskip('datumaro')
    with zipfile.ZipFile(FORMATS['cvat'](masks, tmp_path)) as archive:
        archive.extractall(tmp_path / 'unpacked')
    dataset = datumaro.Dataset.import_from(
        str(tmp_path / 'unpacked'), 'voc_segmentation')
    labels = dataset.categories()[datumaro.AnnotationType.label]
    assert [label.name for label in labels] == list(CLASSES)
    assert [item.id for item in dataset] == list(NAMES)
    for item, pixels, count in zip(dataset, KNOWN, (3, 1, 0)):
        assert len(item.annotations) == count
        found = np.zeros_like(pixels)
        for one in item.annotations:
            found[one.image > 0] = one.label
        assert (found == pixels).all()


def test_yolo(masks, tmp_path):
    link = tmp_path / 'link.JPG'
    link.symlink_to(masks[0].photo.path)
    linked = masks[0]._replace(photo=Photo('a 1', str(link)))
    old = masks[0]._replace(photo=Photo('old', masks[0].photo.path))
    FORMATS['yolo']([old], tmp_path)  # which the next export replaces
    path = FORMATS['yolo']([linked, *masks[1:]], tmp_path)
    data = yaml.safe_load(path.read_text(encoding='utf-8'))
    assert data['names'] == dict(enumerate(CLASSES))
    images = sorted((path.parent / data['train']).rglob('*.JPG'))
    assert len(images) == 3 and not images[0].is_symlink()
    for image, number in zip(images, (0, 2, 1)):
        # Ultralytics replaces the last such folder to find the mask.
        folder, name = str(image.with_suffix('.png')).rsplit('/images/', 1)
        mask = np.array(Image.open(f'{folder}/{data["masks_dir"]}/{name}'))
        assert (mask == PIXELS[number]).all()
        assert Image.open(image).size == mask.shape[::-1]


def test_yolo_in_its_own_library(masks, tmp_path, monkeypatch):
    monkeypatch.setenv('YOLO_CONFIG_DIR', str(tmp_path))
    data = pytest.importorskip('ultralytics.data')
    path = FORMATS['yolo'](masks, tmp_path)
    settings = data.utils.check_det_dataset(str(path))
    assert settings['names'] == dict(enumerate(CLASSES))
    dataset = data.dataset.SemanticDataset(
        img_path=settings['train'], data=settings)
    assert len(dataset) == 3
    for i, number in enumerate((0, 2, 1)):
        assert (dataset.load_mask(i) == PIXELS[number]).all()


def test_voc_server(masks, tmp_path, monkeypatch):
    classes = PascalVOCDataset.METAINFO['classes']
    named = [
        mask._replace(photo=Photo(f'2008_00000{i}', ''))
        for i, mask in enumerate(masks)
    ]
    photos = [mask.photo for mask in named]
    with pytest.raises(UserError, match='the 1456 images .* 3 photos'):
        check_format('voc-server', photos, classes)
    monkeypatch.setattr(formats, 'VOC_IMAGES', 3)
    check_format('voc-server', photos, classes)
    with pytest.raises(UserError, match='classes background, cat & mouse'):
        check_format('voc-server', photos, CLASSES)
    with pytest.raises(UserError, match="such as 'a 1'"):
        check_format('voc-server', [mask.photo for mask in masks], classes)
    write = FORMATS['voc-server']
    with pytest.raises(UserError, match='a 1.png: has pixels of 255'):
        write(named, tmp_path)
    assert not list(tmp_path.glob('*.tgz'))
    named[0] = named[0]._replace(path=masks[1].path)
    with tarfile.open(write(named, tmp_path)) as archive:
        folder = 'results/VOC2012/Segmentation/comp6_test_cls'
        assert archive.getnames() == [f'{folder}/{p.name}.png' for p in photos]
        file = archive.extractfile(f'{folder}/2008_000001.png').read()
        assert (np.array(Image.open(BytesIO(file))) == PIXELS[1]).all()


def test_coco_without_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pycocotools', None)
    with pytest.raises(UserError, match=r'pip install "mmseg_afa\[formats\]"'):
        check_format('coco', [], CLASSES)
