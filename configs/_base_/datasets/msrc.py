# MSRC v2, 591 photographs of 320 x 213 with fifteen classes of objects: 395
# with tags only, 98 with masks to validate on
# (tools/dataset_converters/msrc.py)
_base_ = ['./voc12_aug_weak.py']
data_root = 'data/msrc'
crop_size = (160, 160)
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='RandomScale', ratio_range=(0.4, 0.8)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='WeakRandomCrop', crop_size=crop_size),
    dict(type='PackWeakSegInputs')
]
test_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='Resize', scale_factor=0.6, keep_ratio=True),
    dict(type='LoadMask'),
    dict(type='ImageLabelFromMask'),
    dict(type='PackWeakSegInputs')
]
tta_pipeline = test_pipeline
dataset = dict(
    type='WeakLabelDataset',
    data_root=data_root,
    data_prefix=dict(seg_map_path='SegmentationClass'),
    label_file='image_labels.txt')  # its first line lists the classes
loader = dict(
    num_workers=0,  # two cores are busy enough, and loading is cheap here
    persistent_workers=False)
train_dataloader = dict(
    **loader,
    batch_size=8,
    pin_memory=False,
    dataset=dict(
        **dataset,
        ann_file='ImageSets/Segmentation/train.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    **loader, dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
