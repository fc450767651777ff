# The weak data set with another head: mmseg's FCN learns from pseudo labels of
# AFA (tools/predict.py), and WSSSHead from the tags of the same images.
_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/voc12_aug_weak.py', '../_base_/schedules/afa_20k.py',
    '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size_divisor=1),  # all crops have one size
    decode_head=dict(num_classes=21),  # background included
    auxiliary_head=dict(
        _delete_=True,
        type='WSSSHead',
        in_channels=[2048],
        in_index=[3],  # the last stage
        channels=256,
        num_classes=21,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        # 0.4 is mmseg's weight of auxiliary heads
        loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_weight=0.4)))
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='LoadMask'),
    *_base_.train_pipeline[1:],
]
train_dataloader = dict(
    dataset=dict(
        # of `predict.py --out data_root/pseudo_labels`; 255 is ignored
        data_prefix=dict(seg_map_path='pseudo_labels/refined_label'),
        pipeline=train_pipeline))
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(auxiliary_head=dict(lr_mult=10.))))  # from scratch
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator
