# 5,000 iterations of 8 small crops
_base_ = ['./afa_20k.py']
max_iters = 5000
# train the norms: this backbone only saw 64-pixel images
unfrozen = dict(lr_mult=1., decay_mult=0.)
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),  # 6e-5 on VOC; higher for a short run
    paramwise_cfg=dict(
        custom_keys={
            'norm': unfrozen,
            'backbone.layers.0.2': unfrozen,
            'backbone.layers.1.2': unfrozen,
            'backbone.layers.2.2': unfrozen,
            'backbone.layers.3.2': unfrozen,
        }))
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(end=101)
param_scheduler[1].update(
    start_factor=1 - 100 / max_iters, begin=100, end=max_iters + 1)
train_cfg = dict(max_iters=max_iters, val_interval=2500)
auto_scale_lr = dict(
    enable=True,
    base_batch_size=8)  # images an iteration, in total
