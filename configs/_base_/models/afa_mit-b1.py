# AFA with a Mix Transformer B1 for PASCAL VOC. The values are those of the
# published code (arXiv 2203.02664, section 4.1), unless a comment says
# otherwise.
_base_ = ['./mit_weights.py']
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],  # ImageNet, RGB
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size_divisor=1)  # no padding: all crops have one size
model = dict(
    type='AFA',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='AttnMixVisionTransformer',
        arch='b1',
        strides=(4, 2, 2, 1),  # stage 4 keeps the 1/16 grid
        attn_blocks=((3, -2), (3, -1)),  # the last two blocks of stage 4
        drop_path_rate=0.1,
        # an address or a file, as converted by mmseg or as published
        init_cfg=dict(type='Pretrained', checkpoint=_base_.mit_weights.b1)),
    decode_head=dict(
        type='WSSSHead',
        in_channels=[64, 128, 320, 512],
        in_index=[0, 1, 2, 3],
        channels=256,
        num_classes=21,  # background included
        pooling='gmp',  # global maximum; 'gap' has smoother, weaker CAMs
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_cls=dict(type='MultiLabelSoftMarginLoss', loss_weight=1.0),
        loss_decode=dict(type='BalancedSegLoss', loss_weight=0.1)),
    affinity_head=dict(
        type='AFAHead',
        in_channels=16,  # 8 heads x 2 blocks
        loss_aff=dict(type='AffinityLoss', loss_weight=0.1)),
    labeler=dict(
        type='PseudoLabeler',
        # PAR; refiner=None turns it off
        refiner=dict(type='PAR', num_iter=10),
        bkg_score=0.45,  # background score of the CAM in validation, 0 to 1
        bkg_high=0.55,  # pixels above are foreground
        bkg_low=0.35,  # pixels below are background; between: ignored
        radius=8),  # largest distance of a pair, in cells of the 1/16 grid
    train_cfg=dict(
        cam_scales=(1., 0.5, 1.5),
        cam_eval_mode=False,  # keep training mode, as published
        cam_iters=2000,  # classification only until here
        switch_iter=6000,  # CAM labels until here, then refined labels
        affinity_label_from='cam'),  # the affinity learns from the CAM label
    test_cfg=dict(
        mode='whole',
        sources=('seg', 'cam', 'affinity_cam'),  # that validation scores
        cam_scales=(1., )))
