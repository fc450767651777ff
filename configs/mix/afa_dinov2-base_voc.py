# AFA whole over DINOv2's ViT-B/14, pretrained without labels.
_base_ = ['./afa_deit-base_voc.py']
# 32 patches of 14 pixels: the grid of a 512-pixel crop at 1/16, and 48 at
# scale 1.5, so that the radius of 8 cells spans what it does there
crop_size = (448, 448)
model = dict(
    backbone=dict(
        arch='base',
        img_size=448,
        patch_size=14,
        layer_scale_init_value=1e-5,  # DINOv2 has layer scale
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmpretrain/v1.0/'
            'dinov2/vit-base-p14_dinov2-pre_3rdparty_20230426-ba246503.pth')))
train_dataloader = dict(
    dataset=dict(pipeline=[
        *_base_.train_pipeline[:3],
        dict(type='WeakRandomCrop', crop_size=crop_size),
        dict(type='PackWeakSegInputs')
    ]))
