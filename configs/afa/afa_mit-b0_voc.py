_base_ = [
    '../_base_/models/afa_mit-b0.py', '../_base_/datasets/voc12_aug_weak.py',
    '../_base_/schedules/afa_20k.py', '../_base_/default_runtime.py'
]
