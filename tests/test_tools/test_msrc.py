# Copyright (c) mmseg_afa contributors. All rights reserved.
import sys
import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mmseg_afa.datasets import WeakLabelDataset, read_label_file
from mmseg_afa.datasets.mask_file import read_mask
from mmseg_afa.datasets.transforms import LoadWeakImage
from .run_tool import ROOT

sys.path.insert(0, str(ROOT / 'tools/dataset_converters'))
import msrc  # noqa: E402

FOLDER = 'MSRC_ObjCategImageDatabase_v2'


def bmp(pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, 'BMP')
    return buffer.getvalue()


def mask_of(*names):
    """A row of pixels for each name of a colour."""
    return np.repeat([[msrc.COLOURS[name]] for name in names], 4, axis=1)


def write_archive(path, masks):
    with zipfile.ZipFile(path, 'w') as archive:
        for name, mask in masks.items():
            archive.writestr(f'{FOLDER}/Images/{name}.bmp', bmp(mask))
            archive.writestr(f'{FOLDER}/GroundTruth/{name}_GT.bmp', bmp(mask))
        archive.writestr(f'{FOLDER}/Thumbs.db', b'')


def test_data_set(tmp_path):
    masks = {
        f'2_{i}_s': mask_of('grass', 'cow', 'horse')
        for i in (1, 2, 3, 6)
    }
    masks['10_12_s'] = mask_of('void', 'boat', 'road')
    write_archive(tmp_path / 'a.zip', masks)
    root = tmp_path / 'msrc'
    msrc.main([str(root), '--archive', str(tmp_path / 'a.zip')])
    mask = read_mask(str(root / 'SegmentationClass/2_1_s.png'), 16)
    assert mask[:, 0].tolist() == [0, 1, 255]
    mask = read_mask(str(root / 'SegmentationClass/10_12_s.png'), 16)
    assert mask[:, 0].tolist() == [255, 15, 0]
    classes, tags = read_label_file(str(root / 'image_labels.txt'))
    assert classes == msrc.CLASSES
    assert tags['2_2_s'] == ('cow', ) and tags['10_12_s'] == ('boat', )
    lists = {
        path.stem: path.read_text().split()
        for path in (root / 'ImageSets/Segmentation').iterdir()
    }
    assert lists == dict(
        train=['2_1_s', '2_2_s'], val=['10_12_s', '2_6_s'], test=['2_3_s'])
    dataset = WeakLabelDataset(
        data_root=str(root),
        label_file='image_labels.txt',
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img_path='JPEGImages'),
        pipeline=[dict(type=LoadWeakImage)])
    assert dataset[1]['img'].shape == (3, 4, 3)


def test_split_of_the_whole():
    """591 photographs; of each folder every third is held out."""
    counts = {folder: 30 for folder in range(1, 21)}
    counts.update({10: 32, 12: 34, 15: 24, 20: 21})
    names = [
        f'{folder}_{i}_s' for folder, count in counts.items()
        for i in range(1, count + 1)
    ]
    lists = msrc.split(names)
    assert {
        name: len(members)
        for name, members in lists.items()
    } == dict(
        train=395, val=98, test=98)
    assert sorted(sum(lists.values(), [])) == sorted(names)
    assert lists['val'][:3] == ['10_12_s', '10_18_s', '10_24_s']
    assert {'1_3_s', '12_9_s', '20_21_s'} <= set(lists['val'])


@pytest.mark.parametrize('masks, message', [
    ({}, 'has 0 photographs'),
    ({
        '1_1_s': [[(1, 2, 3)]]
    }, r'1_1_s_GT.bmp: has colours of no class .*: #010203'),
])
def test_another_archive(tmp_path, masks, message):
    write_archive(tmp_path / 'a.zip', masks)
    with pytest.raises(SystemExit, match=message):
        msrc.main([str(tmp_path), '--archive', str(tmp_path / 'a.zip')])
