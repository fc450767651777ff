# AFA with a MiT-B0 for crops of 160 pixels in place of 512 and few steps; what
# differs from VOC is what that needs, and has a comment here
# (docs/real_photographs.md).
_base_ = ['./afa_mit-b1.py']
model = dict(
    backbone=dict(
        arch='b0', init_cfg=dict(checkpoint='pretrain/mit_b0.pth')),
    decode_head=dict(
        in_channels=[32, 64, 160, 256],
        channels=128,  # narrower and faster: few classes, small photographs
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
