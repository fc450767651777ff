# The network of afa_mit-b0_small.py, trained on masks
_base_ = ['./afa_mit-b0_small.py']
model = dict(
    _delete_=True,
    type='EncoderDecoder',
    data_preprocessor={
        **_base_.model.data_preprocessor, 'type': 'SegDataPreProcessor'
    },
    backbone=_base_.model.backbone,
    decode_head={
        **_base_.model.decode_head,
        # the mean over the labelled pixels
        'loss_decode': dict(type='CrossEntropyLoss', avg_non_ignore=True)
    },
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
