# The demo, minutes on two CPU cores: a small network from scratch on synthetic
# scenes. Comments explain each difference from VOC.
_base_ = [
    '../_base_/models/afa_mit-b1.py', '../_base_/datasets/demo.py',
    '../_base_/schedules/afa_20k.py', '../_base_/default_runtime.py'
]
max_iters = 1000
model = dict(
    # the smallest network, without pretrained weights
    backbone=dict(
        arch='b0',
        init_cfg=None,
        drop_path_rate=0.),  # no stochastic depth: the run is short
    decode_head=dict(
        in_channels=[32, 64, 160, 256],
        num_classes=6,  # background included
        loss_decode=dict(loss_weight=0.5)),  # 0.1 on VOC; the run is short
    # 0.55 and 0.35 on VOC; the CAMs of 96-pixel crops (6 x 6 cells) are wide
    labeler=dict(
        bkg_high=0.65,
        bkg_low=0.45,
        radius=8),  # all of the 9 x 9 cells; 2 cells score 16 points less
    train_cfg=dict(
        # classification only until here; after 300 iterations the CAM of a
        # class may still cover the background
        cam_iters=450,
        switch_iter=600))  # CAM labels until here, then refined labels
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),  # 6e-5 on VOC; higher from scratch
    paramwise_cfg=dict(
        custom_keys=dict(
            _delete_=True,  # freeze no norm: nothing is pretrained
            decode_head=dict(lr_mult=2.),
            affinity_head=dict(lr_mult=10.))))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=101)
param_scheduler[1].update(
    start_factor=1 - 100 / max_iters, begin=100, end=max_iters + 1)
train_cfg = dict(max_iters=max_iters, val_interval=500)
auto_scale_lr = dict(
    enable=True,
    base_batch_size=8)  # images an iteration, in total
default_hooks = dict(checkpoint=dict(interval=250))
custom_hooks = [
    # draw image, CAM, label and prediction of two training images
    dict(type='PseudoLabelVisualizationHook', interval=200)
]
