_base_ = ['./afa_mit-b1_voc.py']
model = dict(
    backbone=dict(
        arch='b3', init_cfg=dict(checkpoint=_base_.mit_weights.b3)))
