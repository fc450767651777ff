# Copyright (c) mmseg_afa contributors. All rights reserved.
import numpy as np
import pytest
from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed

from mmseg_afa.apis import training_sheet
from mmseg_afa.apis.training_sheet import BOX_COLOUR, caption, draw_box, view
from mmseg_afa.datasets import PascalVOCWeakDataset
from tests.test_datasets.test_weak_label import TRAIN_PIPELINE, VAL_PIPELINE
from tests.test_datasets.voc_folder import CLASSES, write_voc


@pytest.fixture
def voc(tmp_path):
    root = write_voc(tmp_path)

    def build(pipeline, **kwargs):
        with DefaultScope.overwrite_default_scope('mmseg'):
            return PascalVOCWeakDataset(
                data_root=str(root), pipeline=pipeline, **kwargs)

    return build


@pytest.mark.parametrize('box', [(0, 40, 0, 30), (3, 5, 2, 29), (7, 8, 7, 8)])
@pytest.mark.parametrize('scale', [1, 10])
def test_box(box, scale):
    image = np.zeros((40 * scale, 30 * scale, 3), np.uint8)
    top, bottom, left, right = (scale * edge for edge in box)
    framed = draw_box(image, (top, bottom, left, right))
    assert not image.any()
    green = (framed == BOX_COLOUR).all(2)
    inside = np.zeros_like(green)
    inside[top:bottom, left:right] = True
    assert not green[~inside].any()
    for edge in (green[top, left:right], green[bottom - 1, left:right],
                 green[top:bottom, left], green[top:bottom, right - 1]):
        assert edge.all()
    width = 1 if scale == 1 else 3
    hole = max(bottom - top - 2 * width, 0) * max(right - left - 2 * width, 0)
    assert green.sum() == (bottom - top) * (right - left) - hole


def test_views_are_what_the_pipeline_gives(voc):
    dataset = voc(TRAIN_PIPELINE)
    set_random_seed(1)
    sample = dataset[0]
    shown = view(sample, dataset.metainfo['palette'])
    top, bottom, left, right = sample['data_samples'].img_box
    inner = (slice(top + 1, bottom - 1), slice(left + 1, right - 1))
    np.testing.assert_array_equal(
        shown[inner], sample['inputs'].permute(1, 2, 0).numpy()[inner])
    assert caption(sample, CLASSES) == '2007_000001.jpg: cat, person'
    assert caption(dataset[2], CLASSES) == '2007_000003.jpg: no tags'


def test_masks_are_laid_over(voc):
    dataset = voc(VAL_PIPELINE, test_mode=True)
    palette = dataset.metainfo['palette']
    shown = view(dataset[0], palette)
    image = dataset[0]['inputs'].permute(1, 2, 0).numpy()
    cat = palette[CLASSES.index('cat')][::-1]
    expected = 0.65 * np.array(cat) + 0.35 * image[2, 1:-1]
    assert abs(shown[2, 1:-1] - expected).max() <= 1


def test_masks_follow_a_resized_image(voc):
    resize = dict(type='Resize', scale=(60, 60), keep_ratio=True)
    dataset = voc([VAL_PIPELINE[0], resize, *VAL_PIPELINE[1:]], test_mode=True)
    palette = dataset.metainfo['palette']
    shown = view(dataset[0], palette)  # of 20 x 30, with the cat in row 2
    assert shown.shape == (40, 60, 3)
    image = dataset[0]['inputs'].permute(1, 2, 0).numpy()
    cat = palette[CLASSES.index('cat')][::-1]
    expected = 0.65 * np.array(cat) + 0.35 * image[4:6, 1:-1]
    assert abs(shown[4:6, 1:-1] - expected).max() <= 1


def test_same_seed_same_sheet(voc):
    sheets = []
    for seed in (0, 0, 1):
        set_random_seed(seed)
        sheets.append(training_sheet(voc(TRAIN_PIPELINE), [0, 1], views=2))
    assert sheets[0].shape[1] == 3 * 168 + 8
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert (sheets[0] != sheets[2]).any()
    # a legend where there are masks
    with_masks = training_sheet(
        voc(VAL_PIPELINE, test_mode=True), [0, 1], views=2)
    assert len(with_masks) > len(sheets[0])
