# Your own photos with the ViT-S/14 of DINOv2, pretrained without labels
# (Apache 2.0): correct the paths as in afa_mit-b1_own-data.py.
_base_ = ['./afa_deit-small_own-data.py']
# 32 x 32 patches of 14 pixels, the same grid as a 512-pixel crop with MiT. The
# radius of 8 cells therefore keeps its meaning.
crop_size = (448, 448)
model = dict(
    backbone=dict(
        arch='dinov2-small',
        img_size=448,
        patch_size=14,
        layer_scale_init_value=1e-5,  # layer scale of DINOv2
        init_cfg=dict(
            checkpoint='https://download.openmmlab.com/mmpretrain/v1.0/dinov2/'
            'vit-small-p14_dinov2-pre_3rdparty_20230426-5641ca5a.pth')))
train_pipeline = [
    *_base_.train_pipeline[:4],
    dict(type='WeakRandomCrop', crop_size=crop_size),
    dict(type='PackWeakSegInputs')
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
