# Copyright (c) mmseg_afa contributors. All rights reserved.
"""A plain mmsegmentation config, small enough to train within seconds.

The tests of the tools use it through ``--cfg-options data_root=FOLDER``.
"""

_base_ = 'mmseg::_base_/default_runtime.py'
custom_imports = dict(imports=['mmseg_afa'], allow_failed_imports=False)

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', bgr_to_rgb=True, size=(64, 64)),
    backbone=dict(
        type='MixVisionTransformer',
        embed_dims=8,
        num_layers=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        drop_path_rate=0.),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[8, 8, 8, 8],
        in_index=[0, 1, 2, 3],
        channels=8,
        num_classes=3,
        norm_cfg=norm_cfg),
    test_cfg=dict(mode='whole'))

dataset = dict(
    type='BaseSegDataset',
    metainfo=dict(
        classes=('ground', 'thing', 'other'),
        palette=[[0, 0, 0], [128, 0, 0], [0, 128, 0]]),
    data_root='.',
    data_prefix=dict(img_path='images', seg_map_path='masks'),
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs')
    ])
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dataset)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dataset)
test_dataloader = val_dataloader
val_evaluator = [dict(type='IoUMetric', iou_metrics=['mIoU'])]
test_evaluator = val_evaluator

train_cfg = dict(type='IterBasedTrainLoop', max_iters=3, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=3, save_best='mIoU'),
    visualization=dict(type='SegVisualizationHook'))
# With a name, mmengine gives all runs of a process the visualizer of the first
# run, which writes to the folder of that run.
visualizer = dict(
    _delete_=True,
    type='SegLocalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')])
env_cfg = dict(cudnn_benchmark=False, dist_cfg=dict(timeout=60))
randomness = dict(seed=0)
