# AttnMixVisionTransformer with mmseg's SegformerHead, trained on masks: an
# upper bound for AFA. PascalVOCWeakDataset loads masks with LoadMask.
_base_ = [
    '../_base_/models/mit_weights.py', '../_base_/datasets/voc12_aug_weak.py',
    '../_base_/schedules/afa_20k.py', '../_base_/default_runtime.py'
]
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=1),
    backbone=dict(
        type='AttnMixVisionTransformer',
        arch='b0',
        init_cfg=dict(type='Pretrained', checkpoint=_base_.mit_weights.b0)),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=256,
        num_classes=21,
        norm_cfg=dict(type='SyncBN', requires_grad=True)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
train_dataloader = dict(
    dataset=dict(pipeline=[
        dict(type='LoadWeakImage'),
        dict(type='LoadMask'),
        dict(type='RandomScale', ratio_range=(0.5, 2.0)),
        dict(type='RandomFlip', prob=0.5),
        dict(type='WeakRandomCrop', crop_size=(512, 512)),
        dict(type='PackWeakSegInputs')
    ]))
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator
