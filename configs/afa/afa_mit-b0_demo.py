# Minutes on two CPU cores: a small network from scratch on synthetic scenes.
# What differs from VOC is what that needs, and has a comment here.
_base_ = [
    '../_base_/models/afa_mit-b1.py', '../_base_/datasets/demo.py',
    '../_base_/schedules/afa_20k.py', '../_base_/default_runtime.py'
]
max_iters = 1000
model = dict(
    # the smallest network; no pretrained weights to download
    backbone=dict(
        arch='b0',
        init_cfg=None,
        drop_path_rate=0.),  # few steps: nothing to regularise
    decode_head=dict(
        in_channels=[32, 64, 160, 256],
        num_classes=6,  # background included
        loss_decode=dict(loss_weight=0.5)),  # few steps for the decoder
    # 96-pixel crops have a grid of 6 x 6 cells: their CAMs are wide
    labeler=dict(bkg_high=0.65, bkg_low=0.45),
    train_cfg=dict(
        # the same order of phases, in a shorter run; with 300 steps of
        # classification a class may still cover the background of its scenes
        cam_iters=450,
        switch_iter=600))
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),  # from scratch: larger
    paramwise_cfg=dict(
        custom_keys=dict(
            _delete_=True,  # nothing is pretrained: no norm is frozen
            decode_head=dict(lr_mult=2.),
            affinity_head=dict(lr_mult=10.))))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=101)
param_scheduler[1].update(
    start_factor=1 - 100 / max_iters, begin=100, end=max_iters + 1)
train_cfg = dict(max_iters=max_iters, val_interval=500)
auto_scale_lr = dict(base_batch_size=8)  # images an iteration
default_hooks = dict(checkpoint=dict(interval=250))
custom_hooks = [
    # image, CAM, label and prediction of two training images, to vis_data of
    # the work folder
    dict(type='PseudoLabelVisualizationHook', interval=200)
]
