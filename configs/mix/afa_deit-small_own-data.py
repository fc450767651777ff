# Your own photos with DeiT-S/16, whose weights are under Apache 2.0: correct
# the paths as in afa_mit-b1_own-data.py.
_base_ = ['../afa/afa_mit-b1_own-data.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='AttnVisionTransformer',
        arch='deit-small',
        img_size=512,  # pixels; other sizes resize the position embedding
        patch_size=16,
        out_indices=(-1, ),  # mmpretrain normalises the last map only
        attn_blocks=(-2, -1),  # the last two blocks, as with MiT
        drop_path_rate=0.1,  # as in DeiT and MiT
        init_cfg=dict(  # ImageNet-1k, converted by mmpretrain
            type='Pretrained',
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'deit/deit-small_pt-4xb256_in1k_20220218-9425b9bb.pth',
            prefix='backbone.')),
    decode_head=dict(in_channels=[384], in_index=[0]),
    affinity_head=dict(
        in_channels=12,  # 6 heads x 2 blocks
        # 0.58 with MiT, divided by sqrt(64), the attention's scale: larger
        # logits saturate the affinity
        init_cfg=dict(type='Normal', layer='Conv2d', std=0.07)))
frozen = dict(lr_mult=0., decay_mult=0.)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(
            _delete_=True,
            ln1=frozen,  # freeze pretrained norms, as with MiT
            ln2=frozen,
            cls_token=dict(decay_mult=0.),  # no weight decay
            pos_embed=dict(decay_mult=0.),
            decode_head=dict(lr_mult=10.),  # trained from scratch
            affinity_head=dict(lr_mult=10.))))
