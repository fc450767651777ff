# AFA's network under masks, for as many steps: what its scores on voc6 could
# be with perfect labels, and in tools/analysis_tools/ablation.py the second
# stage, on AFA's pseudo labels.
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
        # masks to train on; 255 is ignored
        data_prefix=dict(seg_map_path='SegmentationClassAug'),
        pipeline=train_pipeline))
val_evaluator = [dict(type='WeakIoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=500))
