# AFA whole over a plain ViT: DeiT-B/16. CAM, affinity and segmentation share
# one grid of 1/16, that of MiT's last stage; what differs has a comment.
_base_ = ['../afa/afa_mit-b1_voc.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='AttnVisionTransformer',
        arch='deit-base',
        img_size=512,  # the crop; other sizes resize the position embedding
        patch_size=16,
        out_indices=(-1, ),  # the one map that is normalised, for all heads
        attn_blocks=(-2, -1),  # the last two, as of MiT
        drop_path_rate=0.1,  # of DeiT, and of MiT
        init_cfg=dict(  # ImageNet-1k, by mmpretrain
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'deit/deit-base_pt-16xb64_in1k_20220216-db63c16c.pth',
            prefix='backbone.')),
    decode_head=dict(in_channels=[768], in_index=[0]),
    affinity_head=dict(
        in_channels=24,  # 12 heads x 2 blocks
        # AFA's 0.58 over sqrt(64), as attention scales the logits of heads 64
        # wide: else they saturate the affinity, which may not learn
        init_cfg=dict(type='Normal', layer='Conv2d', std=0.07)))
frozen = dict(lr_mult=0., decay_mult=0.)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(
            _delete_=True,
            ln1=frozen,  # pretrained normalisation stays as it is, as MiT's
            ln2=frozen,
            pre_norm=frozen,  # of CLIP
            cls_token=dict(decay_mult=0.),  # no weights of a layer
            pos_embed=dict(decay_mult=0.),
            decode_head=dict(lr_mult=10.),  # trained from scratch
            affinity_head=dict(lr_mult=10.))))
