# AFA on photographs of six classes of VOC: a check of a set-up, half an hour
# on a CPU. From weights of Tiny ImageNet the mIoU is 30.0 +- 1.3 % over six
# trainings (docs/real_photographs.md).
_base_ = [
    '../_base_/models/afa_mit-b0_small.py', '../_base_/datasets/voc6.py',
    '../_base_/schedules/afa_5k.py', '../_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=7))  # background included
default_hooks = dict(checkpoint=dict(interval=500))
