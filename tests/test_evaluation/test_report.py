# Copyright (c) mmseg_afa contributors. All rights reserved.
import json

from mmseg_afa.evaluation.report import checkpoint_rule, rows, write_report

IOU = dict(background=90., cat=None)
FIELDS = dict(
    refined_label_given_tags=dict(mIoU=80., ignored=12.5, IoU=IOU),
    pred_sem_seg=dict(mIoU=70., ignored=0., IoU=IOU))
CURVE = {i / 20: 50. + i for i in range(20)}


def test_checkpoint_rule():
    best = 'best validation mIoU, chosen with masks'
    assert checkpoint_rule('work/best_mIoU_iter_9.pth') == best
    best = 'best validation image_label_mAP, chosen with image labels'
    assert checkpoint_rule('work/best_image_label_mAP_iter_9.pth') == best
    assert checkpoint_rule('iter_20000.pth') == 'fixed: iter 20000'
    assert checkpoint_rule('afa.pth') == 'unknown'


def test_files(tmp_path):
    report = dict(
        about=dict(config='a.py', split='val.txt, 3 images'),
        rows=rows(FIELDS),
        image_labels=dict(F1=91.234, mAP=99.),
        sweeps=dict(cam_given_tags=CURVE))
    write_report(tmp_path, report, 0.45)
    text = (tmp_path / 'report.md').read_text(encoding='utf-8')
    for line in ('| split | val.txt, 3 images |',
                 '| segmentation | none | 70.00 |  |',
                 '| refined label | given | 80.00 | 12.50 |', '| F1 | 91.23 |',
                 '| cat | – | – |', '| 0.95 | 69.00 |',
                 '| background score | mIoU of CAM, tags given |'):
        assert line in text.splitlines(), line
    assert 'uses the validation masks' in text
    stored = json.loads((tmp_path / 'report.json').read_text())
    assert [row['score']
            for row in stored['rows']] == ['segmentation', 'refined label']
    assert (tmp_path / 'background_sweep.png').stat().st_size > 5000
