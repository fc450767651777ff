# AFA with the ViT-B/14 of DINOv2, pretrained without labels (Apache 2.0).
_base_ = ['./afa_deit-base_voc.py']
# 32 x 32 patches of 14 pixels, the same grid as a 512-pixel crop with MiT. The
# radius of 8 cells therefore keeps its meaning.
crop_size = (448, 448)
model = dict(
    backbone=dict(
        arch='base',
        img_size=448,
        patch_size=14,
        layer_scale_init_value=1e-5,  # layer scale of DINOv2
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmpretrain/v1.0/'
            'dinov2/vit-base-p14_dinov2-pre_3rdparty_20230426-ba246503.pth')))
train_pipeline = [
    *_base_.train_pipeline[:3],
    dict(type='WeakRandomCrop', crop_size=crop_size),
    dict(type='PackWeakSegInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
