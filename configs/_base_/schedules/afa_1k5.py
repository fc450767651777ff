# For hundreds of photographs, not thousands (docs/real_photographs.md)
_base_ = ['./afa_5k.py']
max_iters = 1500
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(start_factor=1 - 100 / max_iters, end=max_iters + 1)
train_cfg = dict(max_iters=max_iters, val_interval=500)
