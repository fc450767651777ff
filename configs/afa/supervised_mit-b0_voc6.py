# AFA's network under masks, for as many steps: what its scores on voc6 could
# be with perfect labels, and in tools/analysis_tools/ablation.py the second
# stage, on AFA's pseudo labels.
_base_ = ['./afa_mit-b0_voc6.py']
model = dict(
    _delete_=True,
    type='EncoderDecoder',
    data_preprocessor={
        **_base_.model.data_preprocessor, 'type': 'SegDataPreProcessor'
    },
    backbone=_base_.model.backbone,
    decode_head={
        **_base_.model.decode_head,
        # the mean over labelled pixels
        'loss_decode': dict(type='CrossEntropyLoss', avg_non_ignore=True)
    },
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='LoadMask'),
    *_base_.train_pipeline[1:],
]
train_dataloader = dict(
    dataset=dict(
        # masks to train on; 255 is ignored
        data_prefix=dict(seg_map_path='SegmentationClassAug'),
        pipeline=train_pipeline))
val_evaluator = [dict(type='WeakIoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator
