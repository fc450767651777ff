# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Score a frozen checkpoint by tools/test.py."""
import json

import cv2
import numpy as np
import pytest

from tests.conftest import CLASSES, DEMO
from tools import test
from .run_tool import run, run_here


@pytest.fixture(scope='module')
def options(tmp_path_factory):
    """Write five images of two sizes."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'SegmentationClassAug',
                   'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    for i, size in enumerate([(48, 80), (64, 48)] * 2 + [(48, 80)]):
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        cv2.imwrite(str(root / f'JPEGImages/{i}.jpg'), cv2.resize(small, size))
        mask = rng.choice([0, 1, 2, 5, 255], size[::-1]).astype(np.uint8)
        cv2.imwrite(str(root / f'SegmentationClassAug/{i}.png'), mask)
    names = root / 'ImageSets/Segmentation/val.txt'
    names.write_text('\n'.join(map(str, range(5))) + '\n')
    (root / 'image_labels.txt').write_text('# ' + ','.join(CLASSES[1:]) + '\n')
    return [
        f'{split}_dataloader.dataset.data_root={root}'
        for split in ('train', 'val', 'test')
    ]


def report(work_dir):
    return json.loads((work_dir / 'report.json').read_text())


def test_batches_and_processes_change_nothing(checkpoint, options, tmp_path):
    """Count the same in one process and two, in batches of 1 and 4."""
    run_here(test.main, tmp_path / 'one', options, DEMO, checkpoint)
    expected = report(tmp_path / 'one')
    assert len(expected['rows']) == 7
    for row in expected['rows']:
        total = np.sum(row['confusion'])
        assert 0.75 * 5 * 3500 < total < 5 * 3840
    run_here(test.main, tmp_path / 'four',
             [*options, 'test_dataloader.batch_size=4'], DEMO, checkpoint)
    assert report(tmp_path / 'four') == expected
    run('bash', 'tools/dist_test.sh', DEMO, checkpoint, 2, '--work-dir',
        tmp_path / 'two', '--cfg-options', *options,
        'test_dataloader.batch_size=4')
    assert report(tmp_path / 'two') == expected


def test_what_the_report_says(checkpoint, options, tmp_path):
    run_here(test.main, tmp_path, options, DEMO, checkpoint, '--tta',
             '--refine', 'par')
    about = report(tmp_path)['about']
    assert about['chosen by'] == 'fixed: iter 1'
    assert about['split'] == 'ImageSets/Segmentation/val.txt, 5 images'
    assert about['test-time augmentation'].startswith('scales (1.0, 0.5, 0.75')
    assert about['refinement of predictions'] == 'par'
    text = (tmp_path / 'report.md').read_text(encoding='utf-8')
    assert '| refined label | given |' in text
    assert (tmp_path / 'background_sweep.png').exists()


def test_another_number_of_classes(checkpoint, options, tmp_path):
    options = [*options, 'model.decode_head.num_classes=21']
    with pytest.raises(
            SystemExit, match='num_classes is 21, but .* 6 classes'):
        run_here(test.main, tmp_path, options, DEMO, checkpoint)
