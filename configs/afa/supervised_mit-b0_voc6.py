# AFA's network on voc6, trained on masks for as many iterations: an upper
# bound for AFA. For a second training, set seg_map_path to pseudo labels.
_base_ = [
    '../_base_/models/supervised_mit-b0_small.py',
    '../_base_/datasets/voc6.py', '../_base_/schedules/afa_5k.py',
    '../_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=7))  # background included
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='LoadMask'),
    *_base_.train_pipeline[1:],
]
train_dataloader = dict(
    dataset=dict(
        # training masks; 255 is ignored
        data_prefix=dict(seg_map_path='SegmentationClassAug'),
        pipeline=train_pipeline))
val_evaluator = [dict(type='WeakIoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=500))
