# AFA's network under masks, for as many steps: what its scores on voc6 could
# be with perfect labels, and in tools/analysis_tools/ablation.py the second
# stage, on AFA's pseudo labels.
_base_ = [
    '../_base_/datasets/voc6.py', '../_base_/schedules/afa_20k.py',
    '../_base_/default_runtime.py'
]
max_iters = 5000
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],  # ImageNet, RGB
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size_divisor=1),  # the crops all have one size
    backbone=dict(
        type='AttnMixVisionTransformer',
        arch='b0',
        drop_path_rate=0.,  # few steps: nothing to regularise
        init_cfg=dict(type='Pretrained', checkpoint='pretrain/mit_b0.pth')),
    decode_head=dict(
        type='WSSSHead',
        in_channels=[32, 64, 160, 256],
        in_index=[0, 1, 2, 3],
        channels=256,
        num_classes=7,  # background included
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(
            type='CrossEntropyLoss',
            loss_weight=1.0,
            avg_non_ignore=True)),  # the mean over labelled pixels
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
optim_wrapper = dict(optimizer=dict(lr=3e-4))  # as of AFA
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, begin=0, end=101, by_epoch=False),
    dict(
        type='LinearLR',
        start_factor=1 - 100 / max_iters,
        end_factor=0.,
        begin=100,
        end=max_iters + 1,
        by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=2500)
auto_scale_lr = dict(base_batch_size=8)  # images an iteration
default_hooks = dict(checkpoint=dict(interval=500))
