# Copyright (c) mmseg_afa contributors. All rights reserved.
import copy
import sys

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from mmseg_afa.models import DenseCRF
from mmseg_afa.utils import UserError


@pytest.fixture(scope='module')
def crf():
    """Build a CRF without workers; pydensecrf2 is optional."""
    pytest.importorskip('pydensecrf')
    return DenseCRF(num_workers=0)


def disk(size: int, classes: int = 3):
    """Draw a disk and a mask of it in which 30 % of the pixels are wrong.

    Returns:
        tuple[Tensor, Tensor, Tensor]: (3, size, size) in [0, 1], (classes,
        size, size) probabilities, and the true label (size, size) int64.
    """
    generator = torch.Generator().manual_seed(size)
    y, x = torch.meshgrid(*[torch.arange(size) - size / 2] * 2, indexing='ij')
    label = (y.hypot(x) < size / 3).long()
    image = torch.tensor([[.2, .8], [.5, .1], [.3, .4]])[:, label]
    image += 0.01 * torch.randn(image.shape, generator=generator)
    wrong = torch.rand(label.shape, generator=generator) < 0.3
    seen = torch.where(wrong, 1 - label, label)
    masks = torch.full((classes, size, size), 0.1)
    masks.scatter_(0, seen[None], 0.6)
    return image.clamp(0, 1), masks / masks.sum(0), label


@pytest.mark.parametrize('library', ['pydensecrf.densecrf', 'joblib'])
def test_without_a_library(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=r'Run `pip install "\.\[crf\]"`'):
        MODELS.build(dict(type='DenseCRF'))


def test_sharpens(crf):
    image, masks, label = disk(96)
    refined = crf(image[None], masks[None])[0]
    assert 0.28 < (masks.argmax(0) != label).float().mean() < 0.32
    assert (refined.argmax(0) != label).float().mean() < 0.001
    torch.testing.assert_close(refined.sum(0), torch.ones(96, 96))
    # absent classes, pixels without a score, and NaN
    masks[1:] = 0
    masks[:, :5] = 0
    masks[:, 5] = torch.nan
    refined = crf(image[None], masks[None])[0]
    torch.testing.assert_close(refined.sum(0), torch.ones(96, 96))


def test_equals_the_library(crf):
    """Compare with the kernels of the published protocol, built by hand."""
    from pydensecrf import utils
    from pydensecrf.densecrf import DenseCRF as Library
    image, masks, _ = disk(48)
    levels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    library = Library(48 * 48, 3)
    library.setUnaryEnergy(utils.unary_from_softmax(masks.numpy()))
    # x before y: the approximation depends on the order
    position = utils.create_pairwise_gaussian((3, 3), (48, 48))
    library.addPairwiseEnergy(position[[1, 0]].copy(), 3)
    colour = utils.create_pairwise_bilateral((64, 64), (5, 5, 5), levels, 2)
    library.addPairwiseEnergy(colour[[1, 0, 2, 3, 4]].copy(), 4)
    expected = np.reshape(library.inference(10), (3, 48, 48))
    np.testing.assert_allclose(
        crf(image[None], masks[None])[0], expected, atol=1e-5)


def test_workers(crf):
    """Images of several sizes keep their order and every bit."""
    images, masks, _ = zip(*map(disk, (20, 60, 30)))
    expected = crf.refine_all(images, masks)
    workers = copy.deepcopy(DenseCRF(num_workers=2))
    for found, one in zip(workers.refine_all(images, masks), expected):
        assert torch.equal(found, one)
    alone = workers(images[0][None], masks[0][None])[0]
    assert torch.equal(alone, expected[0])
