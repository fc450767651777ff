# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train on tissue, which has no background, and predict masks of it."""
import cv2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import DEMO
from tests.test_tools.run_tool import run_here, scalars
from tests.tissue import write_tissue
from tools import predict, test, train


@pytest.fixture(scope='module')
def tissue(tmp_path_factory):
    root = tmp_path_factory.mktemp('tissue') / 'data'
    write_tissue(root, 8, 4, 96)
    return root


def test_class_0_never_wins(tissue, tmp_path):
    options = [
        *(f'{split}_dataloader.dataset.data_root={tissue}'
          for split in ('train', 'val', 'test')),
        'train_dataloader.batch_size=4', 'auto_scale_lr=None',
        'train_cfg.max_iters=6', 'train_cfg.val_interval=6',
        'model.train_cfg.cam_iters=1', 'model.train_cfg.switch_iter=3',
        'param_scheduler.0.end=3', 'param_scheduler.1.begin=2',
        'param_scheduler.1.end=7', 'default_hooks.logger.interval=1',
        'default_hooks.checkpoint.interval=6', 'custom_hooks.0.interval=2',
        'model.labeler.background=False', 'model.labeler.empty_above=0.9',
        'model.decode_head.num_classes=4', 'log_processor.window_size=1'
    ]
    run_here(train.main, tmp_path / 'run', options, DEMO)
    found = scalars(tmp_path / 'run')
    shares = np.array([
        list(found[f'label.{name}'].values())
        for name in ('foreground', 'ignored')
    ])
    np.testing.assert_allclose(shares.sum(0), 1, atol=1e-5)  # no background
    assert shares[1].max() < 0.7  # padding and glass
    checkpoint = tmp_path / 'run/iter_6.pth'
    out = tmp_path / 'masks'
    run_here(test.main, tmp_path / 'test', options, DEMO, checkpoint)
    report = next((tmp_path / 'test').rglob('report.md')).read_text()
    assert '| background score of CAMs | none' in report
    assert not list(tmp_path.rglob('background_sweep.png'))
    predict.main([
        str(DEMO),
        str(checkpoint),
        str(tissue / 'JPEGImages'), '--tags',
        str(tissue / 'image_labels.txt'), '--source', 'seg', 'cam',
        'affinity_cam', 'refined_label', '--out',
        str(out), '--device', 'cpu', '--cfg-options', *options
    ])
    masks = list(out.rglob('*.png'))
    assert len(masks) == 48
    for path in masks:
        mask = np.array(Image.open(path))
        photo = cv2.imread(str(tissue / f'JPEGImages/{path.stem}.jpg'))
        grey = photo.min(2)
        assert (mask > 0).all()
        assert (mask[grey > 232] == 255).all()
        assert (mask[grey < 228] < 4).all()
