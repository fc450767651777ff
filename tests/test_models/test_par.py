# Copyright (c) mmseg_afa contributors. All rights reserved.
import subprocess
import sys
from contextlib import nullcontext
from unittest import mock

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mmseg_afa.models import PAR
from mmseg_afa.models.pseudo_labels.boxes import (boxes_to_half, half_sizes,
                                                  half_to_boxes)
from mmseg_afa.models.refiners import par as module
from tests.test_reference import reference as ref


def plain_par(image, masks, num_iter, dilations, w1=0.3, w2=0.01):
    """Compute PAR of one image (3, H, W) pixel by pixel."""
    height, width = image.shape[-2:]
    offsets = [(d * y, d * x) for d in dilations for y in (-1, 0, 1)
               for x in (-1, 0, 1) if y or x]
    distance = torch.tensor(offsets, dtype=torch.float64).norm(dim=1)
    position = (-(distance / (distance.std() + 1e-8) / w1)**2).softmax(0)
    for _ in range(num_iter):
        out = torch.zeros_like(masks)
        for i in range(height):
            for j in range(width):
                near = [(min(max(i + y, 0),
                             height - 1), min(max(j + x, 0), width - 1))
                        for y, x in offsets]
                rows, cols = zip(*near)
                pixels = image[:, rows, cols]
                diff = (pixels - image[:, i, j, None]).abs()
                std = pixels.std(1, keepdim=True)
                colour = -(diff / (std + 1e-8) / w1)**2
                weight = colour.mean(0).softmax(0) + w2 * position
                out[:, i, j] = (masks[:, rows, cols] * weight).sum(1)
        masks = out
    return masks


def test_definition():
    torch.manual_seed(0)
    image = torch.rand(3, 9, 7, dtype=torch.float64)
    masks = torch.rand(2, 9, 7, dtype=torch.float64)
    par = PAR(num_iter=3, dilations=(1, 2, 4))
    ref.assert_close(
        par(image[None], masks[None])[0],
        plain_par(image, masks, 3, (1, 2, 4)),
        rtol=1e-5)


@pytest.mark.parametrize('value', [0., 1.])
@pytest.mark.parametrize('size', [(1, 1), (64, 48)])
def test_flat_images(value, size):
    image = torch.full((1, 3, *size), value)
    # the weights of a flat neighbourhood sum to 1.01 in every iteration
    flat = PAR(num_iter=10)(image, torch.ones(1, 1, *size))
    ref.assert_close(flat, torch.full_like(flat, 1.01**10))


def test_boxes_of_a_batch():
    """Boxes are refined in a batch as they are alone."""
    torch.manual_seed(0)
    image, masks = torch.rand(3, 3, 40, 48), torch.rand(3, 2, 40, 48)
    boxes = torch.tensor([[0, 40, 0, 48], [3, 30, 5, 48], [7, 8, 11, 12]])
    par = PAR(num_iter=3)
    sizes = half_sizes(boxes)
    assert sizes.tolist() == [[20, 24], [13, 21], [1, 1]]
    out = par(
        boxes_to_half(image, boxes),
        boxes_to_half(masks, boxes, align_corners=True),
        sizes=sizes)
    back = half_to_boxes(out, boxes, (40, 48))
    for i, (top, bottom, left, right) in enumerate(boxes.tolist()):
        cut = (slice(i, i + 1), slice(None), slice(top,
                                                   bottom), slice(left, right))
        half = torch.nn.functional.interpolate(
            image[cut], sizes[i].tolist(), mode='bilinear')
        alone = torch.nn.functional.interpolate(
            par(half, masks[cut]), (bottom - top, right - left),
            mode='bilinear')
        ref.assert_close(back[cut], alone)
    assert torch.isfinite(back).all()


def fake_cuda_par():
    """Run PAR on a tensor of cuda:1 that needs no GPU."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        image = torch.empty(1, 3, 8, 8, device='cuda:1')
        return PAR()(image, image)


def test_kernels_that_fail(monkeypatch):
    """PyTorch takes over with one warning, but not for want of memory."""
    monkeypatch.setattr(module, 'fused_arguments', lambda *args: ())
    monkeypatch.setattr(torch.cuda, 'device_of', nullcontext)
    kernel = mock.Mock(side_effect=torch.OutOfMemoryError)
    monkeypatch.setattr(module, 'fused_par', kernel)
    with pytest.raises(torch.OutOfMemoryError):
        fake_cuda_par()
    kernel.side_effect = RuntimeError('no C compiler')
    with pytest.warns(UserWarning, match='RuntimeError: no C compiler') as log:
        for _ in range(2):
            assert fake_cuda_par().shape == (1, 3, 8, 8)
    assert kernel.call_count == 2 and len(log) == 1


def test_fused_kernels():
    """Run the kernels on the CPU, in Triton's interpreter."""
    pytest.importorskip('triton')
    run = subprocess.run(
        [sys.executable, '-m', 'tests.test_models.par_interpreted'],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ref.ROOT,
        check=True)
    assert float(run.stdout.split()[-1]) < 1e-5


def test_channels_one_after_the_other(monkeypatch):
    """Splitting the channels does not change the result."""
    torch.manual_seed(0)
    image, masks = torch.rand(2, 3, 20, 30), torch.rand(2, 7, 20, 30)
    expected = PAR(num_iter=2)(image, masks)
    monkeypatch.setattr(module, 'MAX_VALUES', 3 * 2 * 20 * 30)
    assert torch.equal(PAR(num_iter=2)(image, masks), expected)
