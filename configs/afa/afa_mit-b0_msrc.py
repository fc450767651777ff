# AFA on the photographs of MSRC v2 (tools/dataset_converters/msrc.py): 395 of
# 320 x 213 pixels with tags only, 98 with masks to validate on. Network and
# schedule are those of voc6.
_base_ = ['./afa_mit-b0_voc6.py']
data_root = 'data/msrc'
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='RandomScale', ratio_range=(0.3, 1.)),
    *_base_.train_pipeline[2:],
]
test_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='Resize', scale_factor=0.6, keep_ratio=True),
    *_base_.test_pipeline[2:],
]
tta_pipeline = test_pipeline
dataset = dict(
    data_root=data_root, data_prefix=dict(seg_map_path='SegmentationClass'))
train_dataloader = dict(dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
model = dict(decode_head=dict(num_classes=16))  # background included
