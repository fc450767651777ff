_base_ = ['./afa_20k.py']
# Warm-up over 1500 iterations, then linear from 1 - 1500/80000 to 0
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(start_factor=0.98125, end=80001)
train_cfg = dict(max_iters=80000, val_interval=8000)
auto_scale_lr = dict(
    enable=True,
    base_batch_size=8)  # images an iteration, as published
