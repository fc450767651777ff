# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F

from mmseg_afa.models import tiled_logits
from mmseg_afa.models.utils import resize
from tests.test_reference import reference as ref


@pytest.mark.parametrize('stride', [4, 8, 14, 16])
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
