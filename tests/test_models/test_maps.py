# Copyright (c) mmseg_afa contributors. All rights reserved.
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from mmseg.structures import SegDataSample

from mmseg_afa.models import PresentClasses
from mmseg_afa.models.segmentors import score_maps as module
from mmseg_afa.models.segmentors.logits import tiled_logits
from mmseg_afa.models.segmentors.maps import photo_maps
from mmseg_afa.models.segmentors.score_maps import (ScoreMaps, resize_strip,
                                                    restrict_to_tags,
                                                    with_background)
from mmseg_afa.models.utils import resize
from mmseg_afa.utils import UserError
from tests.test_models.test_afa import build
from tests.test_reference import reference as ref

TAGS = torch.tensor([[0., 1, 0, 1], [0, 0, 1, 0]])
CLASSES = PresentClasses.from_image_label(TAGS)


def test_segmentation_among_tags():
    logits = torch.randn(2, 5, 6, 7)
    maps = restrict_to_tags(logits, TAGS)
    label, share = maps.argmax_with_confidence()
    allowed = torch.full((2, 5), float('-inf'))
    allowed[0, [0, 2, 4]] = 0
    allowed[1, [0, 3]] = 0
    prob, expected = (logits + allowed[:, :, None, None]).softmax(1).max(1)
    assert (label == expected).all()
    torch.testing.assert_close(share, prob)
    label, share = maps.resize_and_argmax((13, 9))
    assert set(label[1].unique().tolist()) <= {0, 3}
    assert torch.isfinite(share).all()


def test_cam_against_background():
    cam = torch.tensor([[.9, .5], [.45, .2], [.0, .0]]).T[None, :, :, None]
    classes = PresentClasses.from_image_label(torch.tensor([[1., 1]]))
    label, share = with_background(cam, classes, 0.45).argmax_with_confidence()
    assert label.flatten().tolist() == [1, 0, 0]  # at the score: background
    torch.testing.assert_close(share.flatten(),
                               torch.tensor([.9 / 1.85, .45 / 1.1, 1.]))
    # the filling of an image that shows fewer classes never wins
    label, _ = with_background(torch.ones(2, 2, 1, 1), CLASSES,
                               0.45).argmax_with_confidence()
    assert label.flatten().tolist() == [2, 3]


def test_pseudo_label_of_two_background_scores():
    classes = PresentClasses.from_image_label(torch.tensor([[0., 1]]))
    high = torch.tensor([[.4, .6], [.6, .2], [.6, .4]]).T
    low = torch.tensor([[.2, .8], [.5, .3], [.4, .6]]).T
    maps = ScoreMaps(torch.cat([high, low])[None, :, :, None], classes)
    label, share = maps.argmax_with_confidence()
    assert label.flatten().tolist() == [2, 0, 255]
    torch.testing.assert_close(share.flatten(), torch.tensor([.6, .625, 0]))


@pytest.mark.parametrize('size', [(37, 41), (5, 60)])
def test_strips(size):
    maps = ScoreMaps(torch.randn(2, 3, 9, 11), CLASSES, logits=True)
    whole = resize(maps.scores, size)
    for start in range(0, size[0], 4):
        strip = slice(start, min(start + 4, size[0]))
        torch.testing.assert_close(
            resize_strip(maps.scores, size, strip), whole[:, :, strip])
    expected = maps.resize_and_argmax(size)
    with mock.patch.object(module, 'MOST_SCORES', 1000):
        label, share = maps.resize_and_argmax(size)
    assert (label == expected[0]).all() and label.dtype == torch.uint8
    torch.testing.assert_close(share, expected[1])


def test_nothing_is_not_finite():
    maps = ScoreMaps(torch.zeros(2, 3, 4, 4), CLASSES)
    label, share = maps.resize_and_argmax((8, 8))
    assert (label == 0).all() and (share == 0).all()


@pytest.mark.parametrize('stride', [4, 14])
def test_tiles_of_any_stride(stride):
    """Logits that follow the image do so in tiles as well, whatever the
    stride of the network."""
    rows = torch.linspace(0, 1, 300)[:, None]
    cols = torch.linspace(-1, 1, 420)
    image = torch.stack([rows + 0 * cols, 0 * rows + cols, rows * cols])[None]

    def forward(x):
        height, width = x.shape[-2:]
        padding = (0, -width % stride, 0, -height % stride)
        return F.avg_pool2d(F.pad(x, padding, mode='replicate'), stride)

    found = tiled_logits(forward, image, tile=200, overlap=64)
    expected = resize(image, (75, 105))
    assert found.shape == (1, 3, 75, 105)
    # within a cell of the network's grid
    ref.assert_close(found, expected, rtol=stride / 200)


@pytest.mark.parametrize('tile, found', [(130, '130 pixels'), (100, '100')])
def test_small_tiles(tile, found):
    with pytest.raises(UserError, match=f'A tile of {found}'):
        tiled_logits(None, torch.zeros(1, 3, 300, 300), tile)


def test_tiles_of_padded_photos():
    """Photos of a batch have the masks that they have without the padding."""
    net = build().eval()
    photos = torch.randn(2, 3, 150, 170)
    meta = dict(ori_shape=(150, 170), img_shape=(150, 170))
    padded = dict(meta, img_padding_size=(0, 22, 0, 42))
    masks = []
    for inputs, info in (photos, meta), (F.pad(photos,
                                               (0, 22, 0, 42)), padded):
        with torch.no_grad():
            _, (maps, ) = photo_maps(
                net,
                inputs, [SegDataSample(metainfo=info)] * 2,
                [(['seg'], [None] * 2)],
                tile=140)
        masks.append([one['seg'].scores for one in maps])
    assert masks[0][0].shape == (1, 6, 38, 43)
    for expected, found in zip(*masks):
        assert torch.equal(expected, found)
