# AFA on photographs of six classes of VOC, to see within an hour on two CPU
# cores whether a set-up works. From a backbone of Tiny ImageNet its
# segmentation had 29.1 mIoU on 400 photographs held out of the training list
# (docs/real_photographs.md). What differs from VOC is what small crops and few
# steps need, and has a comment here.
_base_ = [
    '../_base_/models/afa_mit-b1.py', '../_base_/datasets/voc6.py',
    '../_base_/schedules/afa_20k.py', '../_base_/default_runtime.py'
]
max_iters = 5000
model = dict(
    backbone=dict(
        arch='b0', init_cfg=dict(checkpoint='pretrain/mit_b0.pth')),
    decode_head=dict(
        in_channels=[32, 64, 160, 256],
        channels=128,  # narrower and faster: seven classes, small photographs
        num_classes=7,  # background included
        loss_decode=dict(loss_weight=0.5)),  # few steps for the decoder
    labeler=dict(
        # a crop is a third as wide as the paper's, and so is what counts as
        # near: PAR has no dilations of 8, 12 and 24 pixels, and the radius of
        # 8 belongs to 48 x 48 cells, where there are 15 x 15 at scale 1.5
        refiner=dict(dilations=(1, 2, 4)),
        radius=2),
    train_cfg=dict(
        cam_iters=3999,  # tells classes apart better, the longer
        switch_iter=4249))
# The backbone saw 64-pixel images: its norms have to learn
unfrozen = dict(lr_mult=1., decay_mult=0.)
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),  # a short run: larger
    paramwise_cfg=dict(
        custom_keys={
            'norm': unfrozen,
            'backbone.layers.0.2': unfrozen,
            'backbone.layers.1.2': unfrozen,
            'backbone.layers.2.2': unfrozen,
            'backbone.layers.3.2': unfrozen,
        }))
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
