# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run the tools that mmsegmentation ships on a config of this package."""
import runpy
import sys
from pathlib import Path

import cv2
import mmseg
import pytest

from tests.conftest import DEMO
from tests.test_datasets.test_weak_label import VAL_PIPELINE, own
from tests.test_datasets.voc_folder import write_voc

TOOLS = Path(mmseg.__file__).parent / '.mim/tools'


@pytest.mark.parametrize('folder, drawn', [
    ('misc', 'out/vis_data/vis_image/{}.jpg_0.png'),
    ('analysis_tools', 'out/{}.jpg'),
])
def test_browse_dataset(tmp_path, monkeypatch, folder, drawn):
    """Draw training images, which have no masks."""
    run(monkeypatch, tmp_path, f'{folder}/browse_dataset.py', '--output-dir',
        tmp_path / 'out', '--not-show')
    picture = cv2.imread(str(tmp_path / drawn.format('2007_000001')))
    assert picture.shape == (96, 96, 3)


def test_confusion_matrix(tmp_path):
    """Count by the classes of the label file; drawing them takes minutes."""
    tool = runpy.run_path(str(TOOLS / 'analysis_tools/confusion_matrix.py'))
    folders = dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug')
    dataset = own(
        write_voc(tmp_path), pipeline=VAL_PIPELINE, data_prefix=folders)
    masks = [one['data_samples'].gt_sem_seg.data[0].numpy() for one in dataset]
    matrix = tool['calculate_confusion_matrix'](dataset, masks)
    assert matrix.shape == (21, 21)


def run(monkeypatch, root, tool, *arguments):
    """Run a tool for images in the layout of VOC."""
    write_voc(root)
    monkeypatch.setattr(sys, 'argv', [
        tool,
        str(DEMO), *map(str, arguments), '--cfg-options',
        f'train_dataloader.dataset.data_root={root}'
    ])
    runpy.run_path(str(TOOLS / tool), run_name='__main__')
