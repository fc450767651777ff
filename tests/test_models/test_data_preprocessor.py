# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample

from mmseg_afa.models import WeakSegDataPreProcessor

NORMALISATION = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def batch(*sizes):
    generator = torch.Generator().manual_seed(0)
    return dict(
        inputs=[
            torch.randint(
                0, 256, (3, *size), generator=generator, dtype=torch.uint8)
            for size in sizes
        ],
        data_samples=[SegDataSample() for _ in sizes])


@pytest.mark.parametrize('sizes', [[(8, 6)] * 3, [(8, 6), (7, 9)]])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('kwargs', [
    dict(size_divisor=1, bgr_to_rgb=True, **NORMALISATION),
    dict(size_divisor=4, bgr_to_rgb=True, pad_val=3, **NORMALISATION),
    dict(size=(10, 10), **NORMALISATION),
    dict(size=(8, 9), rgb_to_bgr=True),
])
def test_same_as_the_parent(sizes, training, kwargs):
    if not training and len(set(sizes)) > 1:
        return  # test batches are of one size
    own = WeakSegDataPreProcessor(**kwargs)(batch(*sizes), training)
    parent = SegDataPreProcessor(**kwargs)(batch(*sizes), training)
    assert torch.equal(own['inputs'], parent['inputs'])
    assert own['inputs'].dtype == torch.float32
    assert len(own['data_samples']) == len(sizes)


def test_one_pass_for_the_batch(monkeypatch):
    """Crops of one size never reach the parent, which takes them singly."""
    monkeypatch.delattr(SegDataPreProcessor, 'forward')
    own = WeakSegDataPreProcessor(size_divisor=1, **NORMALISATION)
    assert own(batch(*[(4, 4)] * 2), True)['inputs'].shape == (2, 3, 4, 4)
