_base_ = ['./afa_mit-b1_voc.py']
model = dict(
    backbone=dict(
        arch='b2', init_cfg=dict(checkpoint='pretrain/mit_b2.pth')))
