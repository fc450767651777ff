_base_ = ['./afa_mit-b1_voc.py']
model = dict(
    backbone=dict(
        arch='b0', init_cfg=dict(checkpoint='pretrain/mit_b0.pth')),
    decode_head=dict(in_channels=[32, 64, 160, 256]))
