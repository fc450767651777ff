# Second training: a plain SegFormer on the pseudo labels that tools/predict.py
# made from the training images and their tags.
_base_ = ['../mix/attn-mit-b0_segformer_voc.py']
max_iters = 20000
model = dict(
    backbone=dict(
        arch='b1', init_cfg=dict(checkpoint=_base_.mit_weights.b1)),
    decode_head=dict(in_channels=[64, 128, 320, 512]))
train_dataloader = dict(
    batch_size=16,  # images per process
    dataset=dict(
        # of `predict.py --out data_root/pseudo_labels`; 255 is ignored
        data_prefix=dict(seg_map_path='pseudo_labels/refined_label')))
# SegFormer's schedule (arXiv 2105.15203, section 4.1), shortened
optim_wrapper = dict(
    optimizer=dict(lr=6e-5, weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys=dict(
            _delete_=True,
            norm=dict(decay_mult=0.),  # no weight decay of norms
            decode_head=dict(lr_mult=10.))))  # trained from scratch
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, end=1500, by_epoch=False),
    dict(type='PolyLR', power=1., begin=1500, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters)
auto_scale_lr = dict(
    enable=True,
    base_batch_size=16)  # images an iteration, in total
