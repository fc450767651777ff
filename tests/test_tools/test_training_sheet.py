# Copyright (c) mmseg_afa contributors. All rights reserved.
import cv2
import pytest

from tests.test_datasets.voc_folder import write_voc
from tests.test_reference.reference import ROOT
from tools.analysis_tools import training_sheet

CONFIG = str(ROOT / 'configs/afa/afa_mit-b1_voc.py')


@pytest.mark.parametrize('split, columns', [('train', 4), ('val', 2)])
def test_writes_a_picture(tmp_path, split, columns):
    root, out = write_voc(tmp_path / 'voc'), tmp_path / 'sheet.png'
    training_sheet.main([
        CONFIG, '--split', split, '--num', '2', '--out',
        str(out), '--cfg-options',
        f'{split}_dataloader.dataset.data_root={root}'
    ])
    assert cv2.imread(str(out)).shape[1] == columns * 168 + 8


def test_no_data(tmp_path):
    with pytest.raises(SystemExit, match='no such image list'):
        training_sheet.main([
            CONFIG, '--cfg-options',
            f'train_dataloader.dataset.data_root={tmp_path}'
        ])


def test_no_such_data_set(tmp_path):
    with pytest.raises(SystemExit, match='has no val_dataloader'):
        training_sheet.main(
            [CONFIG, '--split', 'val', '--cfg-options', 'val_dataloader=None'])


def test_no_such_format(tmp_path):
    root = write_voc(tmp_path / 'voc')
    with pytest.raises(SystemExit, match='must end in .png'):
        training_sheet.main([
            CONFIG, '--num', '1', '--out',
            str(tmp_path / 'sheet.gif'), '--cfg-options',
            f'train_dataloader.dataset.data_root={root}'
        ])
