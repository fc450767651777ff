# AFA with a ViT-B/16, pretrained on ImageNet-21k.
_base_ = ['./afa_deit-base_voc.py']
model = dict(
    data_preprocessor=dict(  # as in the training of these weights
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5]),
    backbone=dict(
        arch='base',
        init_cfg=dict(
            # fine-tuned on ImageNet-1k at 384 pixels
            checkpoint='https://download.openmmlab.com/mmclassification/v0/'
            'vit/finetune/vit-base-p16_in21k-pre-3rdparty_ft-64xb64_in1k-384_'
            '20210928-98e8652b.pth')))
