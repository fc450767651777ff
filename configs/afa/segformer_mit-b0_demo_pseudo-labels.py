# The demo's second training, two minutes on two CPU cores: a plain SegFormer
# from scratch on the pseudo labels of the demo's training scenes.
_base_ = [
    'mmseg::_base_/models/segformer_mit-b0.py', '../_base_/datasets/demo.py',
    '../_base_/schedules/afa_20k.py', '../_base_/default_runtime.py'
]
max_iters = 600
model = dict(
    data_preprocessor=dict(size_divisor=1),  # all crops have one size
    decode_head=dict(num_classes=6))  # background included
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='LoadMask'),
    *_base_.train_pipeline[1:],
]
train_dataloader = dict(
    dataset=dict(
        # of `predict.py --out data/demo/pseudo_labels`; 255 is ignored
        data_prefix=dict(seg_map_path='pseudo_labels/refined_label'),
        pipeline=train_pipeline))
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),  # higher from scratch
    paramwise_cfg=dict(custom_keys=dict(_delete_=True)))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, end=50, by_epoch=False),
    dict(type='PolyLR', power=1., begin=50, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=300)
auto_scale_lr = dict(
    enable=True,
    base_batch_size=8)  # images an iteration, in total
default_hooks = dict(checkpoint=dict(interval=300))
