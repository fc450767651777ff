# Copyright (c) mmseg_afa contributors. All rights reserved.
from pathlib import Path

import numpy as np
import pytest
from mmengine import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from PIL import Image
from pycocotools.coco import COCO

from mmseg_afa.datasets import COCO2014WeakDataset, read_label_file
from mmseg_afa.datasets.mask_file import read_mask
from tools.dataset_converters import coco2014
from ..test_datasets.coco_folder import (CATEGORIES, CLASSES, annotation, box,
                                         compressed_rle, image, polygon, rle,
                                         write_annotations)

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH = 20, 30
A, B, C, D = (f'COCO_{split}2014_{id:012d}'
              for split, id in (('train', 9), ('train', 30), ('val', 42),
                                ('val', 73)))


def main(*args):
    coco2014.main([*map(str, args), '--workers', '2'])


def write_coco(root):
    """Write annotations of two images a split, and one image without."""
    write_annotations(
        root,
        'train',
        images=[image(30, 24, 20),
                image(9, 20, 30),
                image(50, 20, 30)],
        annotations=[
            annotation(3, 9, 'dog', polygon(0, 0, 10, 10)),
            annotation(1, 9, 'person', compressed_rle(box(20, 30, 2, 2, 4,
                                                          4))),
            annotation(900, 9, 'cat', rle(box(20, 30, 5, 5, 20, 20)), 1),
            annotation(2, 30, 'toothbrush', [[1, 1, 5, 5]]),
        ],
        categories=CATEGORIES[::-1])
    write_annotations(
        root,
        'val',
        annotations=[
            annotation(7, 42, 'stop sign', polygon(1, 2, 3, 4)),
            annotation(6, 42, 'zebra', polygon(1, 2, 3, 4)),
            annotation(8, 73, 'tv', rle(box(10, 10, 0, 0, 5, 5)), 1),
        ],
        images=[image(42, 8, 9, 'val'),
                image(73, 10, 10, 'val')],
        categories=CATEGORIES)
    return root


def masks(crowd):
    """Return the expected masks: 255 or the class at crowds."""
    a = np.zeros((20, 30), np.uint8)
    a[5:20, 5:20] = 255 if crowd == 'ignore' else 16  # cat
    a[:10, :10] = 17  # dog
    a[2:4, 2:4] = 1  # person
    c, d = np.zeros((8, 9), np.uint8), np.zeros((10, 10), np.uint8)
    c[1:3, 2:4] = 12  # stop sign, over an equally large zebra
    d[:5, :5] = 255 if crowd == 'ignore' else 63  # tv
    return {A: a, B: np.zeros((24, 20), np.uint8), C: c, D: d}


def mask_path(root, name):
    return root / f'SegmentationClass/{name.split("_")[1]}/{name}.png'


def contents(folder):
    """Read every file below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def tags(crowd):
    """Return the expected label file."""
    if crowd == 'ignore':
        return {A: ('person', 'dog'), B: (), C: ('stop sign', ), D: ()}
    shown = ('person', 'cat', 'dog'), (), ('stop sign', ), ('tv', )
    return dict(zip((A, B, C, D), shown))


@pytest.mark.parametrize('crowd', ['ignore', 'class'])
def test_one_command_makes_everything(tmp_path, monkeypatch, capsys, crowd):
    monkeypatch.setattr(coco2014, 'NUM_IMAGES', dict(train=2, val=3))
    main(write_coco(tmp_path), '--crowd', crowd)
    for name, expected in masks(crowd).items():
        with Image.open(mask_path(tmp_path, name)) as mask:
            np.testing.assert_array_equal(np.array(mask), expected)
            assert mask.getpalette()[:3 * 81] == np.ravel(
                COCO2014WeakDataset.METAINFO['palette']).tolist()
    assert read_label_file(str(tmp_path / 'image_labels.txt')) == (CLASSES,
                                                                   tags(crowd))
    lists = tmp_path / 'ImageSets/Segmentation'
    assert (lists / 'train.txt').read_text() == f'{A}\n{B}\n'
    assert (lists / 'val.txt').read_text() == f'{C}\n{D}\n'
    out = capsys.readouterr().out
    assert 'train: 2 images with annotations, as published.' in out
    assert 'val: 2 images with annotations, but 3 were published. ' in out


def test_the_shipped_config_reads_it(tmp_path):
    main(write_coco(tmp_path))
    for name, mask in masks('ignore').items():
        folder = tmp_path / name.split('_')[1]
        folder.mkdir(exist_ok=True)
        Image.new('RGB', mask.shape[::-1]).save(folder / f'{name}.jpg')
    cfg = Config.fromfile(ROOT / 'configs/_base_/datasets/coco14_weak.py')
    samples = []
    with DefaultScope.overwrite_default_scope('mmseg'):
        for loader in (cfg.train_dataloader, cfg.test_dataloader):
            loader.dataset.data_root = str(tmp_path)
            dataset = DATASETS.build(loader.dataset)
            assert len(dataset) == 2
            samples.append(dataset[0]['data_samples'])
    train, val = samples
    assert np.flatnonzero(train.image_label).tolist() == [0, 16]
    assert np.flatnonzero(val.image_label).tolist() == [11]
    np.testing.assert_array_equal(val.gt_sem_seg.data[0], masks('ignore')[C])


@pytest.mark.parametrize('written', [0, 3, 8])
def test_stopped_at_any_file_and_started_again(tmp_path, monkeypatch, written):
    main(write_coco(tmp_path / 'whole'))
    write_coco(tmp_path / 'stopped')
    replace, left = Path.replace, iter(range(written))

    def stop(path, target):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, 'replace', stop)
        main(tmp_path / 'stopped')
    made = {
        path: path.stat().st_mtime_ns
        for path in tmp_path.glob('stopped/SegmentationClass/*/*.png')
    }
    main(tmp_path / 'stopped')
    assert contents(tmp_path / 'stopped') == contents(tmp_path / 'whole')
    assert made == {path: path.stat().st_mtime_ns for path in made}


def test_one_split_after_the_other(tmp_path):
    main(write_coco(tmp_path / 'both'))
    root = write_coco(tmp_path / 'each')
    (root / 'annotations/instances_train2014.json').rename(tmp_path / 'away')
    main(root, '--splits', 'val')
    _, labels = read_label_file(str(root / 'image_labels.txt'))
    assert list(labels) == [C, D]
    (tmp_path / 'away').rename(root / 'annotations/instances_train2014.json')
    main(root, '--splits', 'train', 'train')
    assert contents(root) == contents(tmp_path / 'both')


def test_masks_made_otherwise_are_not_mixed(tmp_path):
    options = '--crowd', 'class', '--overlap', 'category'
    a, b = write_coco(tmp_path / 'a'), write_coco(tmp_path / 'b')
    main(a)
    file = 'annotations/instances_train2014.json'
    for root in (a, b):
        (root / file).write_bytes((root / file).read_bytes() + b'\n')
    before = contents(a)
    with pytest.raises(
            SystemExit,
            match="train2014: holds 2 masks made with .*'ignore'.*'smaller'"
            ".*, not with .*'class'.*'category'.*--overwrite"):
        main(a, *options)
    assert contents(a) == before
    main(a, *options, '--overwrite')
    main(b, *options)
    assert contents(a) == contents(b)


def test_what_somebody_else_made_is_kept(tmp_path):
    root = write_coco(tmp_path)
    image_list = root / 'ImageSets/Segmentation/val.txt'
    label_file = root / 'image_labels.txt'
    mask = mask_path(root, A)
    for path in (mask, image_list):
        path.parent.mkdir(parents=True)
    Image.new('L', (30, 20), 7).save(mask)
    image_list.write_text(f'{D}\n')
    label_file.write_text(f'mine: dog\n{C}: dog\n')
    before = contents(root)
    with pytest.raises(SystemExit, match='holds 1 masks made with None'):
        main(root)
    with pytest.raises(SystemExit, match='val.txt: differs'):
        main(root, '--splits', 'val')
    image_list.write_text(f'{D}\n{C}\n')
    with pytest.raises(SystemExit, match='image_labels.txt: differs'):
        main(root, '--splits', 'val')
    after = contents(root)
    assert all(after[name] == before[name] for name in before
               if not name.endswith('val.txt'))
    main(root, '--overwrite')
    np.testing.assert_array_equal(read_mask(str(mask), 81), masks('ignore')[A])
    assert read_label_file(str(label_file))[1] == {
        **tags('ignore'), 'mine': ('dog', )
    }


@pytest.mark.parametrize('change, message', [
    (lambda text: text[:-1], "2014.json: not one of COCO's instances_.*damag"),
    (lambda text: '[]', "2014.json: not one of COCO's instances_"),
    (lambda text: '{}', '2014.json: found 0 categories'),
    (lambda text: text.replace('"dog"', '"dgo"'), 'found 80 categories that'),
    (lambda text: text.replace('"id": 18,', '"id": 91,'), 'in this order'),
])
def test_other_annotations(tmp_path, change, message):
    path = write_coco(tmp_path) / 'annotations/instances_train2014.json'
    path.write_text(change(path.read_text()))
    with pytest.raises(SystemExit, match=message):
        main(tmp_path)
    assert not (tmp_path / 'image_labels.txt').exists()


def test_missing_annotations(tmp_path):
    with pytest.raises(SystemExit, match='2014.json: no such file. Get COCO'):
        main(tmp_path)
    assert not any(tmp_path.iterdir())


def draw(*annotations, crowd='ignore', overlap='smaller'):
    """Draw (id, number of the class, iscrowd, segmentation, area)."""
    coco = COCO()
    coco.dataset = dict(
        images=[image(1, HEIGHT, WIDTH)],
        categories=CATEGORIES,
        annotations=[
            dict(
                annotation(id, 1, CLASSES[number - 1], segmentation, iscrowd),
                area=area)
            for id, number, iscrowd, segmentation, area in annotations
        ])
    coco.createIndex()
    return coco2014.draw_mask(coco, 1, crowd, overlap)


def region(*corners):
    return box(HEIGHT, WIDTH, *corners)


@pytest.mark.parametrize(
    'segmentation',
    [[], [[]], [[1, 2, 9, 12]], [[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]],
     dict(size=[HEIGHT, WIDTH], counts=[HEIGHT * WIDTH])])
def test_what_covers_no_pixel(segmentation):
    assert not draw((1, 1, 0, segmentation, 1)).any()


@pytest.mark.parametrize('options, expected', [
    (dict(), (2, 3, 255)),
    (dict(crowd='class'), (2, 3, 4)),
    (dict(crowd='class', overlap='coco2voc'), (3, 3, 4)),
    (dict(crowd='class', overlap='category'), (4, 4, 4)),
    (dict(crowd='ignore', overlap='category'), (255, 255, 255)),
])
def test_what_is_on_top(options, expected):
    mask = draw((1, 2, 0, polygon(5, 5, 8, 8), 9.),
                (2, 3, 0, polygon(5, 5, 10, 10), 5.),
                (3, 4, 1, rle(region(0, 0, 10, 10)), 7.), **options)
    assert (mask[6, 6], mask[9, 9], mask[2, 2]) == expected


@pytest.mark.parametrize('overlap, top', [('smaller', 2), ('coco2voc', 1)])
def test_of_equally_large_objects(overlap, top):
    """Put the higher id on top; for coco2voc, the first of the file."""
    mask = draw((5, 1, 0, polygon(0, 0, 4, 4), 1),
                (6, 2, 0, polygon(2, 2, 6, 6), 1),
                overlap=overlap)
    assert (mask[1, 1], mask[3, 3], mask[5, 5]) == (1, top, 2)


def test_other_rules_draw_crowds_as_their_class(tmp_path):
    main(write_coco(tmp_path), '--overlap', 'category')
    shown = read_mask(str(mask_path(tmp_path, D)), 81)
    np.testing.assert_array_equal(shown, masks('class')[D])
