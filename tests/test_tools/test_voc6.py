# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import pytest
from PIL import Image

from mmseg_afa.datasets import PascalVOCWeakDataset, read_label_file
from mmseg_afa.datasets.mask_file import encode_mask, read_mask
from tools.dataset_converters import voc6

CLASSES = PascalVOCWeakDataset.METAINFO['classes']

LISTS = dict(trainaug=['dog_on_sofa', 'rider', 'people'], val=['cat', 'car'])
SHOWN = dict(
    dog_on_sofa=['background', 'dog', 'sofa'],
    rider=['background', 'person', 'horse'],
    people=['background', 'person', 'sofa'],
    cat=['cat', 'cat', 'background'],
    car=['car', 'background', 'car'])


@pytest.fixture
def voc(tmp_path):
    """Write a VOC 2012 of five photographs, 500 x 30, of things in rows."""
    root = tmp_path / 'VOC2012'
    for folder in (voc6.IMAGE, voc6.MASK, voc6.LIST):
        (root / folder).parent.mkdir(parents=True, exist_ok=True)
    for name, shown in SHOWN.items():
        numbers = [CLASSES.index(c) for c in shown]
        mask = np.repeat(np.uint8(numbers), 10)[:, None].repeat(500, 1)
        (root / voc6.MASK.format(name)).write_bytes(encode_mask(mask))
        Image.fromarray(mask).convert('RGB').save(root /
                                                  voc6.IMAGE.format(name))
    for split, names in LISTS.items():
        (root / voc6.LIST.format(split)).write_text('\n'.join(names))
    return root


def test_data_set(voc, tmp_path):
    """Keep small photographs of animals; ignore all but six classes."""
    root = tmp_path / 'voc6'
    voc6.main([str(root), '--voc', str(voc)])
    classes, tags = read_label_file(str(root / 'image_labels.txt'))
    assert classes == ('cat', 'cow', 'dog', 'horse', 'person', 'sheep')
    assert tags == dict(
        dog_on_sofa=('dog', ), rider=('horse', 'person'), cat=('cat', ))
    rows = {
        name: read_mask(str(root / voc6.MASK.format(name)), 7)[::8,
                                                               0].tolist()
        for name in tags
    }
    assert rows == dict(
        dog_on_sofa=[0, 3, 255], rider=[0, 5, 4], cat=[1, 1, 0])
    for name in tags:
        with Image.open(root / voc6.IMAGE.format(name)) as image:
            assert image.size == (400, 24)
    lists = {
        split: (root / voc6.LIST.format(split)).read_text().split()
        for split in ('train', 'val')
    }
    assert lists == dict(train=['dog_on_sofa', 'rider'], val=['cat'])
    assert not (root / voc6.IMAGE.format('people')).exists()


def test_no_voc(tmp_path):
    with pytest.raises(SystemExit, match='trainaug.txt'):
        voc6.main([str(tmp_path / 'voc6'), '--voc', str(tmp_path / 'VOC')])
