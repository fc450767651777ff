# AFA with a MiT-B0 for crops of 160 pixels and short runs. Comments explain
# each difference from VOC (docs/real_photographs.md).
_base_ = ['./afa_mit-b1.py']
model = dict(
    backbone=dict(
        arch='b0', init_cfg=dict(checkpoint=_base_.mit_weights.b0)),
    decode_head=dict(
        in_channels=[32, 64, 160, 256],
        channels=128,  # 256 on VOC; faster, enough for few classes
        loss_decode=dict(loss_weight=0.5)),  # 0.1 on VOC; the run is short
    labeler=dict(
        # pixels; up to 24 on VOC. A crop is a third as wide as on VOC.
        refiner=dict(dilations=(1, 2, 4)),
        radius=2),  # cells of a 15 x 15 grid; 8 of 48 x 48 on VOC
    train_cfg=dict(
        # classification only until here: a longer phase improves the classes
        cam_iters=3999,
        switch_iter=4249))  # CAM labels until here, then refined labels
