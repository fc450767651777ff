# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train the template for own data on a small data set."""
import shutil

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_afa.engine import launch
from mmseg_afa.evaluation.truth import check_truth
from tests.test_reference.reference import ROOT

TEMPLATE = ROOT / 'configs/afa/afa_mit-b1_own-data.py'


@pytest.fixture
def pets(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    root = tmp_path / 'data/pets'
    for split, suffix in (('train', 'JPG'), ('val', 'png')):
        (root / f'JPEGImages/{split}/some more').mkdir(parents=True)
        for name in ('a', 'some more/\u732b'):
            pixels = rng.integers(0, 256, (40, 56, 3), np.uint8)
            Image.fromarray(pixels).save(root /
                                         f'JPEGImages/{split}/{name}.{suffix}')
    (root / 'masks/val/some more').mkdir(parents=True)
    for name in ('a', 'some more/\u732b'):
        mask = np.zeros((40, 56), np.uint8)
        mask[:20] = 3
        Image.fromarray(mask).save(root / f'masks/val/{name}.png')
    (root / 'image_labels.txt').write_text(
        '# cat,cow,dog\na: cat, dog\nsome more/\u732b: cow\n',
        encoding='utf-8')
    monkeypatch.chdir(tmp_path)


def template(tmp_path, masks):
    """Correct the template as users do."""
    text = TEMPLATE.read_text().replace('./afa', f'{TEMPLATE.parent}/afa')
    if masks:
        text = text.replace('val_masks = None', "val_masks = 'masks/val'")
    copy = tmp_path / 'copy.py'
    copy.write_text(text)
    return Config.fromfile(copy)


def test_large_photos_are_seen_whole(pets, tmp_path):
    """Photos are scaled to VOC's size: crops would miss the objects."""
    root = tmp_path / 'data/pets'
    Image.new('RGB', (1600, 1200)).save(root / 'JPEGImages/train/a.JPG')
    Image.new('RGB', (1600, 1200)).save(root / 'JPEGImages/val/a.png')
    Image.new('L', (1600, 1200), 3).save(root / 'masks/val/a.png')
    cfg = template(tmp_path, masks=True)
    cfg.train_dataloader.dataset.pipeline[2].ratio_range = (1, 1)
    with DefaultScope.overwrite_default_scope('mmseg'):
        train = DATASETS.build(cfg.train_dataloader.dataset)[0]
        val = DATASETS.build(cfg.val_dataloader.dataset)[0]
    top, bottom, left, right = train['data_samples'].img_box
    assert (bottom - top, right - left) == (384, 512)
    assert val['inputs'].shape == (3, 384, 512)
    # scores compare with the mask as drawn
    assert val['data_samples'].gt_sem_seg.shape == (1200, 1600)


@pytest.mark.parametrize('masks', [True, False])
def test_trains_and_validates(pets, tmp_path, masks):
    """Score masks where there are some, and always the tags."""
    cfg = template(tmp_path, masks)
    if not masks:
        shutil.rmtree(tmp_path / 'data/pets/masks')
    model, train, val = cfg.model, cfg.train_dataloader, cfg.val_dataloader
    model.backbone.update(arch='b0', init_cfg=None)
    model.decode_head.update(
        in_channels=[32, 64, 160, 256], norm_cfg=dict(type='BN'))
    model.train_cfg.update(cam_iters=0, switch_iter=1)
    train.update(batch_size=2, pin_memory=False)
    for loader in (train, val):
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.pipeline[1].scale = (64, 64)
    train.dataset.pipeline[4].crop_size = (64, 64)
    cfg.train_cfg.update(max_iters=3, val_interval=3)
    cfg.work_dir = str(tmp_path / 'work')
    cfg.experiment_name = f'own_data_{tmp_path.name}'
    cfg.launcher = 'none'
    runner = launch.build_runner(cfg)
    assert cfg.model.decode_head.num_classes == 4  # by the label file
    check_truth(runner.val_loop)
    runner.train()
    scores = runner.message_hub.log_scalars
    assert np.isfinite(scores['train/loss'].current())
    assert 0 <= scores['val/image_label/mAP'].current() <= 100
    assert masks == ('val/mIoU' in scores)
    assert masks == (tmp_path / 'work/best_mIoU_iter_3.pth').exists()
