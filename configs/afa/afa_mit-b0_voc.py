_base_ = ['./afa_mit-b1_voc.py']
model = dict(
    backbone=dict(
        arch='b0', init_cfg=dict(checkpoint=_base_.mit_weights.b0)),
    decode_head=dict(in_channels=[32, 64, 160, 256]))
