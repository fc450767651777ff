# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.structures import PixelData

from tests.test_models.test_afa import batch, build
from tools.analysis_tools.prediction_sheet import predict, prediction_sheet

CLASSES = ('background', 'a', 'b', 'c', 'd', 'e')


class Dataset(list):
    metainfo = dict(classes=CLASSES, palette=[[10 * i] * 3 for i in range(6)])


@pytest.mark.parametrize('ori_shape', [(48, 64), (96, 120)])
@pytest.mark.parametrize('with_affinity', [True, False])
def test_predictions_and_sheet(ori_shape, with_affinity):
    """Also where the pipeline resizes and the preprocessor pads, and without
    affinity."""
    net = build(test_cfg=dict(with_affinity_cam=with_affinity)).eval()
    if not with_affinity:
        net.affinity_head = None
    net.data_preprocessor.test_cfg = dict(size_divisor=64)
    _, (sample, _) = batch()
    sample.set_metainfo(dict(ori_shape=ori_shape, img_path='photos/x.jpg'))
    sample.gt_sem_seg = PixelData(
        data=torch.ones((1, *ori_shape), dtype=torch.uint8))
    image = torch.randint(0, 256, (3, 48, 64), dtype=torch.uint8)
    data = dict(inputs=image, data_samples=sample)
    predicted = predict(net, data)
    assert predicted.pseudo_sem_seg.data.shape == (1, 48, 64)
    assert predicted.pred_sem_seg.data.shape == (1, *ori_shape)
    assert ('affinity_cam' in predicted) == with_affinity
    sheet = prediction_sheet(net, Dataset([data, data]), 8)
    assert sheet.shape[1] == pytest.approx(976 - 161 * (not with_affinity), 9)
