# Copyright (c) mmseg_afa contributors. All rights reserved.
import sys

import cv2
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from tests.conftest import CLASSES, DEMO
from tests.test_models.test_afa import batch, build
from tests.test_reference.reference import ROOT
from tools.analysis_tools import prediction_sheet as tool
from tools.analysis_tools.prediction_sheet import (find_worst, image_iou,
                                                   predict, prediction_sheet)

sys.path.insert(0, str(ROOT / 'tools/demo'))


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
    """Average over the classes of mask and prediction, at known pixels."""
    score = image_iou(sample_of(pred, label), 4)
    assert score == pytest.approx(iou, nan_ok=True)


def test_worst():

    class Net(torch.nn.Module):
        test_cfg = ConfigDict(mode='whole', sources=('seg', 'cam'))

        def test_step(self, batch):
            assert self.test_cfg.sources == ('seg', )
            return batch

    dataset = Dataset(
        sample_of([0, 1], label)
        for label in ([0, 1], [255, 255], [0, 0], [2, 2], [0, 255]))
    net = Net()
    assert list(find_worst(net, dataset, 3)) == [3, 2, 0]
    assert list(find_worst(net, dataset, 9)) == [3, 2, 0, 4, 1]
    assert net.test_cfg.sources == ('seg', 'cam')


@pytest.mark.parametrize('ori_shape, with_affinity', [((48, 64), False),
                                                      ((96, 120), True)])
def test_predictions_and_sheet(ori_shape, with_affinity):
    """Draw them also if the pipeline resizes and the preprocessor pads."""
    sources = ('seg', 'cam', 'affinity_cam')[:2 + with_affinity]
    net = build(test_cfg=dict(sources=sources)).eval()
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
    label = 'refined_label' if with_affinity else 'cam_label'
    assert predicted.get(label).data.shape == (1, *ori_shape)
    assert predicted.pred_sem_seg.data.shape == (1, *ori_shape)
    assert ('affinity_cam' in predicted) == with_affinity
    sheet = prediction_sheet(net, Dataset([data, data]), range(2))
    assert sheet.shape[1] == pytest.approx(976 - 161 * (not with_affinity), 9)


@pytest.mark.parametrize('option', ['--worst', '--num=9'])
def test_tool(checkpoint, tmp_path, capsys, option):
    import make_demo_data
    data, out = tmp_path / 'data', tmp_path / 'new/sheet.png'
    make_demo_data.main([str(data), '--train=1', '--val=2', '--size=48'])
    (data / 'image_labels.txt').write_text('# a,b,c,d,e\n')
    tool.main([
        str(DEMO),
        checkpoint,
        option,
        '--out',
        str(out),
        '--cfg-options',
        f'val_dataloader.dataset.data_root={data}',
        f'experiment_name={tmp_path.name}'  # mmengine shares those of a second
    ])
    assert capsys.readouterr().out.endswith(f'{out}\n')
    assert cv2.imread(str(out)).shape[1] == pytest.approx(976, abs=9)
    with pytest.raises(SystemExit, match='nothing.pth: no such checkpoint'):
        tool.main([str(DEMO), 'nothing.pth'])
