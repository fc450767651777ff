# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch

from mmseg_afa.models import (PAR, PresentClasses, PseudoLabeler,
                              affinity_label, merge_cams, random_walk)
from mmseg_afa.models.pseudo_labels.boxes import box_mask
from mmseg_afa.models.pseudo_labels.labeler import LabelScores, combine_scores
from tests.test_reference import reference as ref


@pytest.mark.parametrize('size', [1, 15, 40])
@pytest.mark.parametrize('flat', [False, True])
@pytest.mark.parametrize('with_par', [False, True])
def test_labels_are_sound(size, flat, with_par):
    """Only present classes, 255 outside the box, no NaN on the way."""
    torch.manual_seed(0)
    cam, image = torch.rand(3, 4, size, size), torch.rand(3, 3, size, size)
    if flat:
        cam, image = torch.zeros_like(cam), torch.zeros_like(image)
    label = torch.tensor([[1., 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]])
    edges = torch.randint(0, size, (3, 2, 2)).sort(2).values
    boxes = (edges + torch.tensor([0, 1])).flatten(1)
    grid = (-(-size // 16), ) * 2
    affinity = torch.rand(3, grid[0]**2, grid[0]**2)
    labeler = PseudoLabeler(refiner=PAR(num_iter=2) if with_par else None)
    inside = box_mask(boxes, (size, size))
    present = PresentClasses.from_image_label(label)
    own = present.select_channels(cam)
    for out in (labeler.cam_label(own, present, boxes, image),
                labeler.refined_label(own, present, boxes, image, affinity,
                                      grid)):
        assert out.shape == (3, size, size) and out.dtype == torch.int64
        assert (out[~inside] == 255).all()
        assert (out[2][inside[2]] == 0).all()
        for b in range(3):
            shown = {0, 255, *(label[b].nonzero().flatten() + 1).tolist()}
            assert set(out[b].unique().tolist()) <= shown
    walked = labeler.walk(own, present, affinity, grid, (0.35, ))
    assert torch.isfinite(walked).all()


def test_present_classes():
    classes = PresentClasses.from_image_label(
        torch.tensor([[0., 1, 0, 1], [0, 0, 0, 0]]))
    assert classes.index[0].tolist() == [0, 2, 4]
    assert classes.valid.tolist() == [[True] * 3, [True, False, False]]
    cam = torch.arange(8.).view(2, 4, 1, 1)
    own = classes.select_channels(cam)
    assert own[0].flatten().tolist() == [1, 3]
    soft = classes.softmax_with_background(own, 0.5)
    ref.assert_close(soft[0].flatten(), torch.tensor([0.5, 1, 3]).softmax(0))
    assert soft[1].flatten().tolist() == [1, 0, 0]
    assert classes.argmax(soft).flatten().tolist() == [4, 0]
    full = classes.scatter(soft, 5)
    assert full[0].flatten()[[1, 3]].tolist() == [0, 0]
    ref.assert_close(full[0].flatten()[[0, 2, 4]], soft[0].flatten())


def test_thresholds():
    labeler = PseudoLabeler()
    cam = torch.tensor([0.35, 0.36, 0.55, 0.56]).view(1, 1, 1, 4)
    boxes = torch.tensor([[0, 1, 0, 4]])
    present = PresentClasses.from_image_label(torch.ones(1, 1))
    out = labeler.cam_label(cam, present, boxes, None)
    assert out.flatten().tolist() == [0, 255, 255, 1]


def test_given_number_of_channels():
    """With `most` nothing is asked of the device; larger does no harm."""
    classes = PresentClasses.from_image_label(
        torch.tensor([[0., 1, 0], [1, 1, 0]]), most=3)
    assert classes.valid.tolist() == [[True, True, False, False],
                                      [True, True, True, False]]


def test_combine_scores():
    """Foreground of the high, background of both, ignored else."""
    classes = PresentClasses.from_image_label(torch.tensor([[1., 1]]))
    scores = LabelScores(*(torch.eye(3)[channels].t().reshape(1, 3, 1, 4)
                           for channels in ([2, 0, 0, 1], [2, 2, 0, 2])))
    boxes = torch.tensor([[0, 1, 0, 4]])
    assert combine_scores(scores, classes,
                          boxes).flatten().tolist() == [2, 255, 0, 1]
    boxes = torch.tensor([[0, 1, 1, 3]])
    assert combine_scores(scores, classes,
                          boxes).flatten().tolist() == [255, 255, 0, 255]


@pytest.mark.parametrize('lazy', [False, True])
def test_random_walk_definition(lazy):
    """One step by the formula, entry by entry."""
    torch.manual_seed(0)
    scores, affinity = torch.rand(1, 2, 3, 4), torch.rand(1, 12, 12)
    out = random_walk(scores, affinity, radius=1, lazy=lazy)[0].flatten(1)
    for j in range(12):
        near = [
            i for i in range(12)
            if max(abs(i // 4 - j // 4), abs(i % 4 - j % 4)) <= 1
        ]
        squared = affinity[0, near, j]**2
        squared[near.index(j)] += 0.1 * lazy
        weights = squared / (squared.sum() + 0.1 * (not lazy))
        expected = (scores[0].flatten(1)[:, near] * weights).sum(1)
        ref.assert_close(out[:, j], expected, rtol=1e-5)
    alone = random_walk(scores, torch.zeros(1, 12, 12), 1, lazy)
    torch.testing.assert_close(alone, scores * lazy)


def test_affinity_label():
    label = torch.tensor([[[1, 1, 2, 255]]]).repeat_interleave(1, 1)
    out = affinity_label(label, (1, 4), radius=1)[0]
    assert out.tolist() == [[1, 1, 255, 255], [1, 1, 0, 255], [255, 0, 1, 255],
                            [255] * 4]


def test_merge_cams():
    """The maximum over the flip, summed over scales of any size."""
    left = torch.zeros(1, 1, 4, 4)
    left[..., :2] = 1
    cam = merge_cams([(left, torch.zeros_like(left))], (16, 16))
    assert cam.shape == (1, 1, 16, 16)
    assert cam[..., :4].min() > 0.99 and cam[..., 12:].max() == 0
    both = merge_cams([(left, left), (left[..., :2, :3], left)], (16, 16))
    ref.assert_close(both[..., :4], both.flip(-1)[..., :4], rtol=0.3)
    assert (both >= 0).all() and (both < 1).all()


@pytest.mark.parametrize('kwargs, message', [
    (dict(bkg_low=0.6), 'bkg_low=0.6, bkg_high=0.55'),
    (dict(bkg_high=1.2), 'bkg_high=1.2'),
    (dict(empty_above=0.), r'empty_above=0.0, expected .*\(0, 1\]'),
    (dict(empty_above=230), 'empty_above=230, expected a grey level'),
])
def test_bad_settings(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PseudoLabeler(**kwargs)


def test_without_background():
    """The class that wins is one of the image; without tags, all is 255."""
    torch.manual_seed(0)
    cam, image = torch.rand(3, 4, 40, 40), 0.9 * torch.rand(3, 3, 40, 40)
    cam[:, :, :20] = 0  # no class shows there, ties
    image[:, :, 5:9] = 0.95  # white: 255
    image[:, 2, 8] = 0.2  # bright, not white
    tags = torch.tensor([[1., 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]])
    boxes = torch.tensor([[0, 40, 3, 40]] * 3)
    labeler = PseudoLabeler(
        background=False, empty_above=0.9, refiner=PAR(num_iter=2))
    classes = labeler.present_classes(tags)
    own = classes.select_channels(cam)
    affinity = torch.zeros(3, 9, 9)
    for label in (labeler.cam_label(own, classes, boxes, image),
                  labeler.refined_label(own, classes, boxes, image, affinity,
                                        (3, 3))):
        assert (label[2] == 255).all()
        for i, shown in enumerate([{1, 4}, {3}]):
            assert (label[i, :, :3] == 255).all()
            assert (label[i, 5:8] == 255).all()
            inside = torch.cat([label[i, :5, 3:], label[i, 8:, 3:]])
            assert set(inside.flatten().tolist()) <= shown
    pairs = labeler.affinity_label(label, (3, 3))
    assert (pairs[2] == 255).all() and (pairs[:2] != 255).any()
    for score in (0.35, 0.9):
        soft = classes.softmax_with_background(own, score)
        assert torch.isfinite(soft).all() and not soft[:2, 0].any()


def test_empty_pixels_with_background():
    """The threshold itself is not above the threshold."""
    labeler = PseudoLabeler(empty_above=0.5)
    present = PresentClasses.from_image_label(torch.ones(1, 1))
    cam = torch.tensor([0.9, 0.9, 0.1]).view(1, 1, 1, 3)
    image = torch.tensor([0.5, 0.6, 0.6]).expand(1, 3, 1, 3)
    boxes = torch.tensor([[0, 1, 0, 3]])
    label = labeler.cam_label(cam, present, boxes, image)
    assert label.flatten().tolist() == [1, 255, 255]
