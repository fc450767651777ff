# Copyright (c) mmseg_afa contributors. All rights reserved.
import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample

from mmseg_afa.utils import UserError
from mmseg_afa.visualization import WeakSegLocalVisualizer, save_picture
from tests.conftest import LOADED

META = dict(
    classes=('background', 'owl', 'lion'),
    palette=[[0, 0, 0], [200, 100, 0], [0, 0, 250]])
IMAGE = np.full((16, 24, 3), 100, np.uint8)
OWL, LION = [150, 100, 50], [50, 50, 175]  # at alpha 0.5 over IMAGE
BLUE, RED = [50, 50, 114], [114, 50, 50]  # of the jet colours, over IMAGE


def build(meta=META, **kwargs):
    visualizer = WeakSegLocalVisualizer(alpha=0.5, **kwargs)
    visualizer.dataset_meta = meta
    return visualizer


def pixels(left, right):
    """Make a label map of two halves."""
    half = torch.ones(16, 12, dtype=torch.long)
    return torch.cat([half * left, half * right], 1)


def hatched(picture):
    return set(np.unique(picture)) == {82, 177}


@pytest.mark.parametrize('scale', [1, 2])
def test_label(scale):
    """A region has its colour and a contour; the rest is hatched."""
    label = pixels(2, 255)[::scale, ::scale]
    drawn = build().draw_label(IMAGE, label)
    assert drawn.shape == IMAGE.shape and drawn.dtype == np.uint8
    assert (drawn[:, :11] == LION).all()
    assert (drawn[:, 11] == META['palette'][2]).all()
    assert hatched(drawn[:, 12:])
    assert (IMAGE == 100).all()


def test_background_is_not_painted():
    image = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    drawn = build().draw_label(image[..., ::-1], pixels(0, 1))
    assert (drawn[:, :12] == image[:, :12, ::-1]).all()
    assert (drawn[:, 12] == META['palette'][1]).all()
    streets = dict(META, classes=('road', 'owl', 'lion'))
    drawn = build(streets).draw_label(IMAGE, pixels(0, 1))
    assert (drawn[:, :11] == 50).all()


def test_colours_keep_their_hue():
    """A region over a colourful photo has the hue of the legend."""
    image = np.full((16, 24, 3), (30, 200, 90), np.uint8)
    region = build().draw_label(image, pixels(1, 1))[0, 0].astype(int)
    wanted = np.array(META['palette'][1]) // 2
    assert np.ptp(region - wanted) <= 1


def test_heatmap():
    heat = torch.zeros(16, 24)
    heat[0, 0] = 0.25  # the highest value, so it is red
    drawn = build().draw_heatmap(IMAGE, heat)
    assert drawn[0, 0].tolist() == RED and drawn[15, 23].tolist() == BLUE
    flat = build().draw_heatmap(IMAGE, torch.zeros(4, 4))
    assert (flat == BLUE).all()


def make_sample():
    sample = SegDataSample(metainfo=dict(img_path='photos/a.jpg'))
    sample.set_field(torch.tensor([0., 1.]), 'image_label', dtype=None)
    left = (pixels(1, 0) > 0).float()
    sample.set_data(
        dict(
            cam=PixelData(data=torch.stack([1 - left, 0.5 * left])),
            affinity_cam=PixelData(
                data=torch.stack([left, 0 * left, 2 * left - 1]).abs()),
            pred_sem_seg=PixelData(data=pixels(2, 0)[None]),
            gt_sem_seg=PixelData(data=pixels(2, 255)[None])))
    return sample


def test_stages():
    sample = make_sample()
    sample.cam_label = PixelData(data=pixels(1, 1)[None, ::4, ::4])
    stages = build().draw_stages(IMAGE, sample)
    assert stages['image'] is IMAGE
    ends = {
        k: [v[0, 0].tolist(), v[0, -1].tolist()]
        for k, v in stages.items()
    }
    assert ends == {
        'image': [[100] * 3] * 2,
        # the present class is on the left
        'CAM': [RED, BLUE],
        # foreground over background and foreground: 1/2 and 1
        'affinity CAM': [BLUE, RED],
        'CAM label': [OWL, OWL],
        'segmentation': [LION, [100] * 3],
        'truth': [LION, [177] * 3],
    }
    assert list(build().draw_stages(IMAGE, SegDataSample())) == ['image']


def test_caption():
    sample = make_sample()
    assert build().caption(sample) == 'a.jpg: lion'
    sample.image_label[:] = 0
    assert build().caption(sample) == 'a.jpg: no tags'
    del sample.image_label
    assert build().caption(sample) == 'a.jpg: no labels'


def plain(colour, height=20, width=20):
    return np.full((height, width, 3), colour, np.uint8)


def test_sheet():
    """Arrange pictures of several sizes; one cell stays empty."""
    colours = np.eye(3) * 255
    sheet = build().draw_sheet([
        dict(a=plain(colours[0]), b=plain(colours[1], 300, 400)),
        dict(a=plain(colours[2], 10, 20)),
    ], ['one', 'two'])
    (red, red_end), (green, green_end), (blue, blue_end) = (
        (where.min(0), where.max(0))
        for where in (np.argwhere((sheet == c).all(2)) for c in colours))
    assert red_end - red == pytest.approx([155, 155], abs=3)
    assert green_end - green == pytest.approx([116, 155], abs=3)
    assert blue_end - blue == pytest.approx([77, 155], abs=3)
    assert blue[0] - red_end[0] == pytest.approx(25, abs=3)  # for the caption


def test_legend_shows_every_class():
    """Edges in the exact colours; the background is not listed."""
    meta = dict(
        classes=['background', *(f'class {i}' for i in range(80))],
        palette=[[i, 0, 99] for i in range(81)])
    row = [{str(i): plain(255) for i in range(6)}]
    sheet = build(meta).draw_sheet(row, [''])
    bare = build(meta).draw_sheet(row, [''], legend=False)
    colours = np.unique(sheet.reshape(-1, 3), axis=0)
    edges = set(map(tuple, meta['palette']))
    assert edges & set(map(tuple, colours)) == edges - {(0, 0, 99)}
    faces = 127.5 + np.array(meta['palette'][1:]) / 2  # alpha 0.5 over white
    distance = np.abs(colours - faces[:, None]).max(2)
    assert distance.min(1).max() <= 1
    assert sheet.shape[1] == pytest.approx(bare.shape[1], abs=2)
    assert 150 < len(sheet) - len(bare) < 350


def test_names_in_any_script():
    """Letters that no font has, formulas and long names do not fail."""
    for name in ['猫', '🐈', '$\\frac$', 'm' * 500]:
        meta = dict(classes=[name], palette=[[1, 2, 3]])
        visualizer = build(meta)
        sheet = visualizer.draw_sheet([dict(image=plain(0))], [name])
        assert sheet.shape[1] < 600
        visualizer.add_datasample('a', IMAGE, make_sample())


def test_in_a_config(tmp_path):
    """Draw mmseg's pictures, with and without the names of the classes."""
    visualizer = VISUALIZERS.build(
        dict(
            type='WeakSegLocalVisualizer',
            name='weak',
            alpha=0.5,
            vis_backends=[dict(type='LocalVisBackend')],
            save_dir=str(tmp_path)))
    visualizer.dataset_meta = META
    image = np.full((64, 96, 3), 100, np.uint8)
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=torch.full((1, 64, 96), 255)),
        pred_sem_seg=PixelData(data=torch.full((1, 64, 96), 2)))
    for named in (False, True):
        visualizer.add_datasample('both', image, sample, with_labels=named)
        path = tmp_path / 'vis_data/vis_image/both_0.png'
        truth, drawn = np.split(cv2.imread(str(path))[..., ::-1], 2, axis=1)
        assert hatched(truth)
        assert 0.7 < (drawn == LION).all(2).mean() <= 1 - 0.05 * named


def test_save_picture(tmp_path):
    picture = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
    save_picture(tmp_path / 'new' / 'sheet.png', picture)
    file, = (tmp_path / 'new').iterdir()
    np.testing.assert_array_equal(cv2.imread(str(file))[..., ::-1], picture)
    for name in ('sheet.xyz', 'sheet'):
        with pytest.raises(UserError, match='is not the suffix of a picture'):
            save_picture(tmp_path / 'other' / name, picture)
    assert not (tmp_path / 'other').exists()


def test_import_without_matplotlib():
    """Loading it takes seconds, and only pictures need it."""
    assert 'mmseg_afa' in LOADED and 'matplotlib' not in LOADED
