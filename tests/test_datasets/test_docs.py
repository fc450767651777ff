# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What docs/datasets.md shows works as it stands there."""
import json
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_afa.datasets import read_label_file

ROOT = Path(__file__).parents[2]


@pytest.fixture
def snippets():
    text = (ROOT / 'docs/datasets.md').read_text()
    return re.findall(r'```python\n(.*?)```', text, re.S)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield tmp_path


def test_own_data(snippets, folder):
    assert snippets[0].count('\n') < 30
    for split in ('train', 'val'):
        (folder / f'data/pets/JPEGImages/{split}').mkdir(parents=True)
        Image.new('RGB', (40, 30)).save(
            folder / f'data/pets/JPEGImages/{split}/{split}.jpg')
    (folder / 'data/pets/masks/val').mkdir(parents=True)
    mask = np.full((30, 40), 3, np.uint8)
    Image.fromarray(mask).save(folder / 'data/pets/masks/val/val.png')
    (folder / 'data/pets/image_labels.txt'
     ).write_text('# cat,cow,dog\ntrain: cat, dog\n')
    (folder / 'pets.py').write_text(snippets[0].replace(
        "'../afa/", f"'{ROOT.as_posix()}/configs/afa/"))

    cfg = Config.fromfile('pets.py')
    assert cfg.model.decode_head.num_classes == 4
    train = DATASETS.build(cfg.train_dataloader.dataset)[0]
    assert train['data_samples'].image_label.tolist() == [1, 0, 1]
    assert train['inputs'].shape == (3, 512, 512)
    val = DATASETS.build(cfg.test_dataloader.dataset)[0]
    assert val['data_samples'].image_label.tolist() == [0, 0, 1]


def test_coco_label_file(snippets, folder):
    root = folder / 'data/coco2014'
    (root / 'annotations').mkdir(parents=True)
    (root / 'ImageSets/Segmentation').mkdir(parents=True)
    categories = [dict(id=1, name='person'), dict(id=90, name='toothbrush')]
    annotations = [
        dict(image_id=image, category_id=category)
        for image, category in ((9, 90), (9, 1), (9, 1), (2, 90))
    ]
    for split in ('train', 'val'):
        (root / f'annotations/instances_{split}2014.json').write_text(
            json.dumps(dict(categories=categories, annotations=annotations)))
    exec(snippets[1], {})
    classes, labels = read_label_file(str(root / 'image_labels.txt'))
    assert len(classes) == 80 and classes[79] == 'toothbrush'
    assert labels == {
        'COCO_train2014_000000000002': ('toothbrush', ),
        'COCO_train2014_000000000009': ('person', 'toothbrush')
    }
    assert (root / 'ImageSets/Segmentation/val.txt').read_text() == (
        'COCO_val2014_000000000002\nCOCO_val2014_000000000009\n')
