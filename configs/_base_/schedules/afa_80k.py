_base_ = ['./afa_20k.py']
# Warm-up over 1500 steps, then linear from 1 - 1500/80000 to 0
param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-6, begin=0, end=1501, by_epoch=False),
    dict(
        type='LinearLR',
        start_factor=0.98125,
        end_factor=0.,
        begin=1500,
        end=80001,
        by_epoch=False),
]
train_cfg = dict(max_iters=80000, val_interval=8000)
auto_scale_lr = dict(base_batch_size=8)  # images an iteration as published
