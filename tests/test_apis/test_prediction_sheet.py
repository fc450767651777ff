# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.structures import PixelData

from mmseg_afa.apis.prediction_sheet import COLUMNS, foreground_heat, sheet_row
from tests.test_models.test_afa import batch, build


@pytest.mark.parametrize('ori_shape', [(48, 64), (96, 120)])
@pytest.mark.parametrize('with_affinity', [True, False])
def test_sheet_row(ori_shape, with_affinity):
    """Also where the pipeline resizes, and without affinity."""
    net = build(test_cfg=dict(with_affinity_cam=with_affinity)).eval()
    if not with_affinity:
        net.affinity_head = None
    _, (sample, _) = batch()
    sample.set_metainfo(dict(ori_shape=ori_shape))
    sample.gt_sem_seg = PixelData(
        data=torch.ones((1, *ori_shape), dtype=torch.uint8))
    image = torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8)
    palette = [[10 * i] * 3 for i in range(6)]
    row = sheet_row(net, dict(inputs=image, data_samples=sample), palette)
    assert len(row) == len(COLUMNS)
    assert [cell.shape[:2] for cell in row[::5]] == [(48, 64), ori_shape]
    assert all(cell.dtype == 'uint8' for cell in row)


def test_foreground_heat():
    scores = torch.tensor([[[1., 0., 0.]], [[1., 3., 0.]], [[0., 1., 0.]]])
    heat = foreground_heat(scores)[0]
    assert heat.tolist() == pytest.approx([0.5 / 0.75, 1., 0.])
    assert (foreground_heat(torch.zeros(3, 2, 2)) == 0).all()
