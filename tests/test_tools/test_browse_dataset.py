# Copyright (c) mmseg_afa contributors. All rights reserved.
import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed

from mmseg_afa.datasets import PascalVOCWeakDataset
from mmseg_afa.visualization import WeakSegLocalVisualizer
from tests.test_datasets.test_weak_label import TRAIN_PIPELINE
from tests.test_datasets.voc_folder import write_voc
from tests.test_reference.reference import ROOT
from tools.analysis_tools import browse_dataset
from tools.analysis_tools.browse_dataset import GREEN, draw_view

CONFIG = str(ROOT / 'configs/afa/afa_mit-b1_voc.py')


@pytest.mark.parametrize('box', [None, (3, 20, 2, 30)])
def test_view_is_what_the_pipeline_gives(tmp_path, box):
    """Draw the crop, and outline the part that shows image."""
    set_random_seed(1)
    with DefaultScope.overwrite_default_scope('mmseg'):
        sample = PascalVOCWeakDataset(
            data_root=str(write_voc(tmp_path / 'voc')),
            pipeline=TRAIN_PIPELINE)[0]
    if box:
        sample['data_samples'].set_metainfo(dict(img_box=box))
    shown = draw_view(WeakSegLocalVisualizer(), sample)
    top, bottom, left, right = sample['data_samples'].img_box
    expected = sample['inputs'].permute(1, 2, 0).numpy()[..., ::-1].copy()
    expected[[top, bottom - 1], left:right] = GREEN
    expected[top:bottom, [left, right - 1]] = GREEN
    np.testing.assert_array_equal(shown, expected)


def run(tmp_path, split='train'):
    out = tmp_path / 'sheet.png'
    browse_dataset.main([
        CONFIG, '--split', split, '--num', '2', '--out',
        str(out), '--cfg-options',
        f'{split}_dataloader.dataset.data_root={tmp_path / "voc"}'
    ])
    return cv2.imread(str(out))


def test_sheets(tmp_path):
    """Draw the same views again; add a legend if there are masks."""
    write_voc(tmp_path / 'voc')
    train, val = run(tmp_path), run(tmp_path, 'val')
    assert (run(tmp_path) == train).all()
    assert train.shape[1] == pytest.approx(4 * 163, abs=8)
    assert val.shape[1] == pytest.approx(2 * 163, abs=15)
    assert len(val) > len(train)


def test_what_cannot_be_drawn(tmp_path):
    with pytest.raises(SystemExit, match='no such image list'):
        run(tmp_path)
    with pytest.raises(SystemExit, match='has no val_dataloader'):
        browse_dataset.main(
            [CONFIG, '--split', 'val', '--cfg-options', 'val_dataloader=None'])
