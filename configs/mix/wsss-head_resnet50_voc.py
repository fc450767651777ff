# WSSSHead with a ResNet-50. The backbone has no attention, so there is no
# affinity: CAM labels refined by PAR supervise the segmentation.
_base_ = ['../afa/afa_mit-b1_voc.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='ResNetV1c',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 2, 1),  # stage 4 keeps the 1/16 grid
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://resnet50_v1c')),
    decode_head=dict(in_channels=[256, 512, 1024, 2048]),
    affinity_head=None)
