_base_ = ['./afa_mit-b1_voc.py']
model = dict(
    backbone=dict(
        arch='b3', init_cfg=dict(checkpoint='pretrain/mit_b3.pth')))
