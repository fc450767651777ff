# AFA on MSRC's photographs: network and schedule are those of voc6
_base_ = [
    '../_base_/models/afa_mit-b0_small.py', '../_base_/datasets/msrc.py',
    '../_base_/schedules/afa_5k.py', '../_base_/default_runtime.py'
]
model = dict(decode_head=dict(num_classes=16))  # background included
default_hooks = dict(checkpoint=dict(interval=500))
