# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from tests.test_models.test_afa import batch, build
from tools.analysis_tools.prediction_sheet import (image_iou, predict,
                                                   prediction_sheet, spread,
                                                   worst)

CLASSES = ('background', 'a', 'b', 'c', 'd', 'e')


class Dataset(list):
    metainfo = dict(classes=CLASSES, palette=[[10 * i] * 3 for i in range(6)])


def sample_of(pred, label):
    return SegDataSample(
        pred_sem_seg=PixelData(data=torch.tensor([[pred]])),
        gt_sem_seg=PixelData(data=torch.tensor([[label]], dtype=torch.uint8)))


@pytest.mark.parametrize('pred, label, iou', [
    ([0, 1, 1, 2], [0, 1, 2, 255], (1 + 1 / 2 + 0) / 3),
    ([0, 0, 0, 3], [0, 0, 0, 255], 1),
    ([1, 1, 1, 1], [255, 255, 255, 255], float('nan')),
])
def test_image_iou(pred, label, iou):
    """Of the classes that are shown or predicted, where the mask says what is
    there."""
    score = image_iou(sample_of(pred, label), 4)
    assert score == pytest.approx(iou, nan_ok=True)


def test_worst_and_spread():

    class Net(torch.nn.Module):
        test_cfg = ConfigDict(mode='whole', with_cam=True)

        def test_step(self, batch):
            assert not self.test_cfg.with_cam  # only the segmentation counts
            return batch

    dataset = Dataset(
        sample_of([0, 1], label)
        for label in ([0, 1], [255, 255], [0, 0], [2, 2], [0, 255]))
    net = Net()
    assert list(worst(net, dataset, 3)) == [3, 2, 0]
    assert list(worst(net, dataset, 9)) == [3, 2, 0, 4, 1]
    assert net.test_cfg.with_cam  # for the sheet
    assert list(spread(dataset, 2)) == [0, 2]
    assert list(spread(dataset, 9)) == [0, 1, 2, 3, 4]


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
    sheet = prediction_sheet(net, Dataset([data, data]), range(2))
    assert sheet.shape[1] == pytest.approx(976 - 161 * (not with_affinity), 9)
