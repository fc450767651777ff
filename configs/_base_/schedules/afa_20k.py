# Freeze pretrained norms: their learning rate is 0.
frozen = dict(lr_mult=0., decay_mult=0.)
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GroupedOptimWrapperConstructor',  # one group per setting
    optimizer=dict(
        type='AdamW',
        lr=6e-5,
        betas=(0.9, 0.999),
        weight_decay=0.01,
        fused=True),  # one kernel for all parameters
    paramwise_cfg=dict(
        custom_keys={
            'norm': frozen,  # norms, by their name
            # the norms at the end of each stage, whose names lack 'norm'
            'backbone.layers.0.2': frozen,
            'backbone.layers.1.2': frozen,
            'backbone.layers.2.2': frozen,
            'backbone.layers.3.2': frozen,
            'decode_head': dict(lr_mult=10.),  # trained from scratch
            'affinity_head': dict(lr_mult=10.),
        }))
# Warm-up over 1500 iterations, then linear from 1 - 1500/20000 to 0. The rate
# drops where the two meet, as in the published code.
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, begin=0, end=1501, by_epoch=False),
    dict(
        type='LinearLR',
        start_factor=0.925,
        end_factor=0.,
        begin=1500,
        end=20001,
        by_epoch=False),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=2000)
# For another total number of images an iteration, iterations and learning rate
# are rescaled (docs/training.md). enable=False turns this off.
auto_scale_lr = dict(
    enable=True,
    base_batch_size=4)  # two GPUs with two images each
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
