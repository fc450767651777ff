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
    coco2014.main(list(map(str, args)))


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


MASKS = {
    name: np.zeros(shape, np.uint8)
    for name, shape in {
        A: (20, 30),
        B: (24, 20),
        C: (8, 9),
        D: (10, 10)
    }.items()
}
MASKS[A][5:20, 5:20] = 255  # a crowd of cats
MASKS[A][:10, :10] = 17  # dog
MASKS[A][2:4, 2:4] = 1  # person
MASKS[C][1:3, 2:4] = 12  # stop sign, over an equally large zebra
MASKS[D][:5, :5] = 255  # a crowd of TVs
TAGS = {A: ('person', 'dog'), B: (), C: ('stop sign', ), D: ()}


def mask_path(root, name):
    return root / f'SegmentationClass/{name.split("_")[1]}/{name}.png'


def contents(folder):
    """Read every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def test_one_command_makes_everything(tmp_path, capsys):
    main(write_coco(tmp_path))
    for name, expected in MASKS.items():
        with Image.open(mask_path(tmp_path, name)) as mask:
            np.testing.assert_array_equal(np.array(mask), expected)
            assert mask.getpalette()[:3 * 81] == np.ravel(
                COCO2014WeakDataset.METAINFO['palette']).tolist()
    labels = read_label_file(str(tmp_path / 'image_labels.txt'))
    assert labels == (CLASSES, TAGS)
    lists = tmp_path / 'ImageSets/Segmentation'
    assert (lists / 'train.txt').read_text() == f'{A}\n{B}\n'
    assert (lists / 'val.txt').read_text() == f'{C}\n{D}\n'
    assert 'train: 2 images with annotations.' in capsys.readouterr().out

    # The shipped config reads the data set.
    for name, mask in MASKS.items():
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
    labels = [
        np.flatnonzero(sample.image_label).tolist() for sample in samples
    ]
    assert labels == [[0, 16], [11]]
    np.testing.assert_array_equal(samples[1].gt_sem_seg.data[0], MASKS[C])


def test_one_split_after_the_other(tmp_path):
    main(write_coco(tmp_path / 'both'))
    root = write_coco(tmp_path / 'each')
    main(root, '--splits', 'val')
    _, labels = read_label_file(str(root / 'image_labels.txt'))
    assert list(labels) == [C, D]
    main(root, '--splits', 'train')
    assert contents(root) == contents(tmp_path / 'both')


def test_existing_masks_are_replaced_only_if_asked(tmp_path):
    root = write_coco(tmp_path)
    mask = mask_path(root, A)
    mask.parent.mkdir(parents=True)
    Image.new('L', (30, 20), 7).save(mask)
    before = contents(root)
    with pytest.raises(SystemExit, match='train2014: exists.*--overwrite'):
        main(root)
    assert contents(root) == before
    main(root, '--overwrite')
    np.testing.assert_array_equal(read_mask(str(mask), 81), MASKS[A])


@pytest.mark.parametrize('name, message', [
    ('"dgo"', 'found 80 categories that are not .* in this order'),
    (None, '2014.json: no such file. Get COCO'),
])
def test_other_annotations(tmp_path, name, message):
    path = write_coco(tmp_path) / 'annotations/instances_train2014.json'
    if name:
        path.write_text(path.read_text().replace('"dog"', name))
    else:
        path.unlink()
    with pytest.raises(SystemExit, match=message):
        main(tmp_path)
    assert not (tmp_path / 'image_labels.txt').exists()


def draw(*annotations, overlap='smaller'):
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
    return coco2014.draw_mask(coco, 1, overlap)


@pytest.mark.parametrize(
    'segmentation', [[], [[1, 2, 9, 12]], [[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]]])
def test_what_covers_no_pixel(segmentation):
    assert not draw((1, 1, 0, segmentation, 1)).any()


@pytest.mark.parametrize('overlap, expected', [
    ('smaller', (2, 3, 255)),
    ('coco2voc', (3, 3, 4)),
])
def test_what_is_on_top(overlap, expected):
    mask = draw((1, 2, 0, polygon(5, 5, 8, 8), 9.),
                (2, 3, 0, polygon(5, 5, 10, 10), 5.),
                (3, 4, 1, rle(box(HEIGHT, WIDTH, 0, 0, 10, 10)), 7.),
                overlap=overlap)
    assert (mask[6, 6], mask[9, 9], mask[2, 2]) == expected
