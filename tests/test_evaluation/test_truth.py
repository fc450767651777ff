# Copyright (c) mmseg_afa contributors. All rights reserved.
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS

from mmseg_afa.evaluation import ImageLabelMetric, WeakIoUMetric
from mmseg_afa.evaluation.truth import check_truth
from mmseg_afa.utils import UserError

LOAD = ['LoadWeakImage', 'LoadMask', 'ImageLabelFromMask']


def loop(root, masks=None, labels='', *metrics):
    """Write one image for each mask, and open them for validation."""
    for folder in ('images', 'masks'):
        (root / folder).mkdir()
    for i, value in enumerate(masks or [0, 0]):
        image = np.full((8, 8, 3), 90, np.uint8)
        mask = np.zeros((8, 8, 3) if value == 'RGB' else (8, 8), np.uint8)
        mask[2:] = 0 if value == 'RGB' else value
        cv2.imwrite(str(root / f'images/{i}.png'), image)
        cv2.imwrite(str(root / f'masks/{i}.png'), mask)
    (root / 'labels.txt').write_text(f'# cat,cow,dog\n{labels}')
    prefix = dict(img_path='images', seg_map_path='masks')
    steps = LOAD if masks else LOAD[:1]
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(
            dict(
                type='WeakLabelDataset',
                data_root=str(root),
                label_file='labels.txt',
                data_prefix=prefix if masks else dict(img_path='images'),
                test_mode=True,
                pipeline=[
                    dict(type=one) for one in (*steps, 'PackWeakSegInputs')
                ]))
    return SimpleNamespace(
        dataloader=SimpleNamespace(dataset=dataset),
        evaluator=SimpleNamespace(metrics=metrics))


BOTH = WeakIoUMetric(), ImageLabelMetric()


@pytest.mark.parametrize('masks, labels, metrics, expected', [
    ([255, 255], '', BOTH, 'No mask shows a class: .* Where 255'),
    ([0, 0], '', BOTH, 'No mask shows a class'),
    (['RGB', 0], '', BOTH, '0.png: found shape'),
    ([7, 0], '', BOTH, r'0.png: found the values \[7\]'),
    (None, '', BOTH, '0.png: has no mask. .*ImageLabelMetric'),
    (None, '0: cat\n', BOTH[1:], '1.png: has no tags. .* label_file'),
])
def test_nothing_to_compare_with(tmp_path, masks, labels, metrics, expected):
    with pytest.raises(UserError, match=expected):
        check_truth(loop(tmp_path, masks, labels, *metrics))


@pytest.mark.parametrize('masks, labels, metrics', [
    ([0, 255, 2], '', BOTH),
    (None, '0: cat\n1:\n', BOTH[1:]),
    (None, '', [WeakIoUMetric(format_only=True, output_dir='out')]),
])
def test_something_to_compare_with(tmp_path, masks, labels, metrics):
    check_truth(loop(tmp_path, masks, labels, *metrics))
    check_truth(None)
