# WSSSHead with mmpretrain's ViT-B/16: one feature map of 1/16 for segmentation
# and classification. The weights are those of DeiT (Apache 2.0).
_base_ = ['./wsss-head_resnet50_voc.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch='b',
        img_size=512,  # pixels; other sizes resize the position embedding
        patch_size=16,
        out_type='featmap',
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'deit/deit-base_pt-16xb64_in1k_20220216-db63c16c.pth',
            prefix='backbone.')),
    decode_head=dict(in_channels=[768], in_index=[0]))
