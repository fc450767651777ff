# Copyright (c) mmseg_afa contributors. All rights reserved.
"""What docs/datasets.md shows works as it stands there."""
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from PIL import Image

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
