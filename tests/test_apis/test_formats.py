# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Masks read back from the formats of other tools, by their own libraries
where these are installed."""
import json
import tarfile
import zipfile
from io import BytesIO
from urllib.parse import unquote
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from mmseg_afa.apis.formats import FORMATS, PhotoMask, voc_server
from mmseg_afa.apis.formats.coco import image_ids, run_lengths
from mmseg_afa.apis.formats.cvat import objects
from mmseg_afa.apis.formats.labelstudio import encode_rle
from mmseg_afa.datasets.mask_file import encode_mask

CLASSES = ('background', 'cat & mouse', 'dog')
PALETTE = [[0, 0, 0], [10, 20, 30], [200, 0, 1]]
NAMES = ('a 1', 'sub/ü', 'images/empty')


@pytest.fixture
def masks():
    """Two cats and a dog beside unsure pixels; only a dog; nothing."""
    first = np.zeros((11, 19), np.uint8)
    first[1:3, 1:4] = first[5:, 6:] = 1
    first[4, :3], first[:, 5] = 2, 255
    return [
        first,
        np.full((12, 10), 2, np.uint8),
        np.zeros((10, 15), np.uint8)
    ]


@pytest.fixture
def photos(tmp_path, masks):
    out = []
    for name, mask in zip(NAMES, masks):
        photo, path = (tmp_path / kind / f'{name}.{suffix}'
                       for kind, suffix in (('in', 'JPG'), ('seg', 'png')))
        for file in (photo, path):
            file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((*mask.shape, 3),
                                 np.uint8)).save(photo, 'JPEG')
        path.write_bytes(encode_mask(mask, PALETTE))
        confidence = {
            CLASSES[i]: .25 * (i + 1)
            for i in set(mask.flat) - {255}
        }
        out.append(PhotoMask(name, str(photo), path, mask.shape, confidence))
    return out


@pytest.mark.parametrize('instances, count', [(False, 3), (True, 4)])
def test_coco(photos, masks, tmp_path, instances, count):
    coco = pytest.importorskip('pycocotools.coco')
    path = FORMATS['coco'](photos, CLASSES, tmp_path, instances=instances)
    truth = coco.COCO(str(path.with_name('images.json')))
    found = truth.loadRes(str(path))
    assert len(found.anns) == count
    assert [c['name'] for c in found.cats.values()] == list(CLASSES[1:])
    for (number, image), mask, name in zip(truth.imgs.items(), masks, NAMES):
        assert image['file_name'] == f'{name}.JPG'
        assert (image['height'], image['width']) == mask.shape
        label = np.zeros_like(mask)
        for one in found.imgToAnns[number]:
            part = found.annToMask(one)
            label[part > 0] = one['category_id']
            assert one['area'] == part.sum()
            assert one['score'] == .25 * (one['category_id'] + 1)
            x, y, w, h = cv2.boundingRect(part)
            assert list(one['bbox']) == [x, y, w, h]
        assert (label == np.where(mask == 255, 0, mask)).all()


@given(
    npst.arrays(
        np.uint8,
        npst.array_shapes(min_dims=2, max_dims=2),
        elements=st.integers(0, 3)))
def test_run_lengths_of_coco(labels):
    coco_mask = pytest.importorskip('pycocotools.mask')
    numbers = set(labels.flat) - {0}
    if numbers:
        for number, counts in zip(sorted(numbers), run_lengths(labels)):
            ours = coco_mask.frPyObjects(
                dict(size=list(labels.shape), counts=counts), *labels.shape)
            assert ours == coco_mask.encode(
                np.asfortranarray(labels == number, np.uint8))


def test_coco_numbers():
    names = ['COCO_val2014_000000000042', 'val/000000000007']
    assert image_ids(names) == [42, 7]
    assert image_ids([*names, 'x']) == [1, 2, 3]
    assert image_ids([names[1], 'test/000000000007']) == [1, 2]


def decode_rle(code):
    """As the published description of the bits reads, step by step."""
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


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 9)), min_size=1),
    st.booleans())
def test_run_lengths_of_label_studio(runs, long):
    mask = np.concatenate([np.full(n, value) for value, n in runs])
    if long:
        mask = np.concatenate([mask, np.ones(2**15 + 3, bool)])
    code = encode_rle(mask[None])
    assert (decode_rle(code) == np.repeat(mask * 255, 4)).all()


def test_labelstudio(photos, masks, tmp_path):
    path = FORMATS['labelstudio'](photos, CLASSES, tmp_path)
    tasks = json.loads(path.read_text(encoding='utf-8'))
    assert [unquote(task['data']['image']) for task in tasks
            ] == [f'/data/local-files/?d=in/{name}.JPG' for name in NAMES]
    assert tasks[0]['data']['image'].endswith('=in/a%201.JPG')
    for task, mask in zip(tasks, masks):
        prediction, = task['predictions']
        label = np.zeros_like(mask)
        for one in prediction['result']:
            assert (one['original_height'],
                    one['original_width']) == mask.shape
            part = decode_rle(one['value']['rle']).reshape(*mask.shape, 4)
            label[part[...,
                       3] > 0] = CLASSES.index(one['value']['brushlabels'][0])
        assert (label == np.where(mask == 255, 0, mask)).all()
    assert [t['predictions'][0]['score'] for t in tasks] == [.5, .75, .25]
    config = ElementTree.parse(path.with_name('config.xml'))
    labels = config.findall('BrushLabels/Label')
    assert [label.get('value') for label in labels] == list(CLASSES[1:])
    assert labels[0].get('background') == '#0a141e'


def test_labelstudio_by_its_own_library(photos, masks, tmp_path):
    brush = pytest.importorskip('label_studio_sdk.converter.brush')
    from label_studio_sdk.label_interface import LabelInterface
    path = FORMATS['labelstudio'](photos, CLASSES, tmp_path)
    interface = LabelInterface(path.with_name('config.xml').read_text())
    tasks = json.loads(path.read_text(encoding='utf-8'))
    for task in tasks:
        prediction, = task['predictions']
        assert not interface.validate_prediction(
            prediction, return_errors=True)
    task = tasks[0]
    for one in task['predictions'][0]['result']:
        part = brush.decode_rle(one['value']['rle'])
        part = part.reshape(*masks[0].shape, 4)[..., 3]
        number = CLASSES.index(one['value']['brushlabels'][0])
        assert ((part > 0) == (masks[0] == number)).all()


def test_cvat(photos, masks, tmp_path):
    """The layout that CVAT documents: PASCAL VOC's with a label map."""
    path = FORMATS['cvat'](photos, CLASSES, tmp_path)
    with zipfile.ZipFile(path) as archive:
        lines = archive.read('labelmap.txt').decode().splitlines()
        assert lines == [
            'background:0,0,0::', 'cat & mouse:10,20,30::', 'dog:200,0,1::'
        ]
        names = archive.read('ImageSets/Segmentation/default.txt').decode()
        assert names.splitlines() == list(NAMES)
        for name, mask in zip(NAMES, masks):
            file = BytesIO(archive.read(f'SegmentationClass/{name}.png'))
            picture = np.array(Image.open(file).convert('RGB'))
            expected = np.array(PALETTE,
                                np.uint8)[np.where(mask == 255, 0, mask)]
            assert (picture == expected).all()
            file = BytesIO(archive.read(f'SegmentationObject/{name}.png'))
            parts = np.array(Image.open(file).convert('RGB'))
            count = len(np.unique(parts.reshape(-1, 3), axis=0))
            assert count == {'a 1': 4, 'sub/ü': 1, 'images/empty': 1}[name]


def test_many_objects_of_cvat():
    mask = np.zeros((40, 60), np.uint8)
    mask[::2, ::2] = 1  # 600 parts
    mask[1, 1] = 2
    assert (objects(mask, 3) == mask).all()
    few = objects(mask[:, :20], 3)  # 200 parts
    assert len(np.unique(few)) == 202 and ((few > 0) == (mask[:, :20]
                                                         > 0)).all()


def test_cvat_by_its_own_library(photos, masks, tmp_path):
    datumaro = pytest.importorskip('datumaro')
    path = FORMATS['cvat'](photos, CLASSES, tmp_path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / 'unpacked')
    dataset = datumaro.Dataset.import_from(
        str(tmp_path / 'unpacked'), 'voc_segmentation')
    labels = dataset.categories()[datumaro.AnnotationType.label]
    assert [label.name for label in labels] == list(CLASSES)
    assert [item.id for item in dataset] == list(NAMES)
    for item, mask, count in zip(dataset, masks, (3, 1, 0)):
        assert len(item.annotations) == count
        found = np.zeros_like(mask)
        for one in item.annotations:
            found[one.image > 0] = one.label
        assert (found == np.where(mask == 255, 0, mask)).all()


def test_yolo(photos, masks, tmp_path):
    FORMATS['yolo']([photos[0]._replace(name='old'), *photos], CLASSES,
                    tmp_path)
    path = FORMATS['yolo'](photos, CLASSES, tmp_path)  # 'old' is gone
    data = yaml.safe_load(path.read_text(encoding='utf-8'))
    assert data['names'] == dict(enumerate(CLASSES))
    images = sorted((path.parent / data['train']).rglob('*.JPG'))
    assert len(images) == 3
    for image, number in zip(images, (0, 2, 1)):
        # how Ultralytics finds the mask: the last such folder is replaced
        folder, name = str(image.with_suffix('.png')).rsplit('/images/', 1)
        mask = np.array(Image.open(f'{folder}/{data["masks_dir"]}/{name}'))
        assert (mask == masks[number]).all()
        assert Image.open(image).size == masks[number].shape[::-1]


def test_yolo_from_symbolic_links(photos, tmp_path):
    link = tmp_path / 'link.JPG'
    link.symlink_to('in/a 1.JPG')
    path = FORMATS['yolo']([photos[0]._replace(photo=str(link))], CLASSES,
                           tmp_path)
    image = path.parent / 'images/train/a 1.JPG'
    assert not image.is_symlink()
    assert image.read_bytes() == link.read_bytes()


def test_yolo_by_its_own_library(photos, masks, tmp_path):
    data = pytest.importorskip('ultralytics.data')
    path = FORMATS['yolo'](photos, CLASSES, tmp_path)
    settings = data.utils.check_det_dataset(str(path))
    assert settings['names'] == dict(enumerate(CLASSES))
    dataset = data.dataset.SemanticDataset(
        img_path=settings['train'], data=settings)
    assert len(dataset) == 3
    for i, number in enumerate((0, 2, 1)):
        assert (dataset.load_mask(i) == masks[number]).all()


def test_voc_server(photos, tmp_path, monkeypatch):
    names = [f'2008_00000{i}' for i in range(3)]
    renamed = [p._replace(name=name) for p, name in zip(photos, names)]
    classes = voc_server.CLASSES
    write = FORMATS['voc-server']
    with pytest.raises(
            ValueError, match='found background, cat & mouse, dog, exp'):
        write(renamed, CLASSES, tmp_path)
    with pytest.raises(ValueError, match='the 1456 images .* found 3'):
        write(renamed, classes, tmp_path)
    monkeypatch.setattr(voc_server, 'NUM_TEST', 3)
    with pytest.raises(ValueError, match="'a 1', which is none"):
        write(photos, classes, tmp_path)
    with pytest.raises(ValueError, match='a 1.png: has pixels of 255'):
        write(renamed, classes, tmp_path)
    assert not list(tmp_path.glob('*.tgz'))
    renamed[0] = renamed[0]._replace(mask=photos[1].mask)
    with tarfile.open(write(renamed, classes, tmp_path)) as archive:
        folder = 'results/VOC2012/Segmentation/comp6_test_cls'
        assert archive.getnames() == [f'{folder}/{n}.png' for n in names]
        file = archive.extractfile(f'{folder}/2008_000001.png')
        assert np.array(Image.open(BytesIO(
            file.read()))).tolist() == [[2] * 10] * 12


def test_without_pycocotools(photos, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'pycocotools', None)
    with pytest.raises(ImportError, match=r'pip install "\.\[data\]"'):
        FORMATS['coco'](photos, CLASSES, tmp_path)
