# The upper bound and the second stage on MSRC, as supervised_mit-b0_voc6.py on
# voc6
_base_ = [
    '../_base_/models/supervised_mit-b0_small.py',
    '../_base_/datasets/msrc.py', '../_base_/schedules/afa_5k.py',
    '../_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=16))  # background included
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='LoadMask'),
    *_base_.train_pipeline[1:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_evaluator = [dict(type='WeakIoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=500))
