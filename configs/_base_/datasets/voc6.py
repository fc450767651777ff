# voc6, a part of PASCAL VOC 2012 for a CPU: photographs of a cat, cow, dog,
# horse or sheep, and people, at a long side of 400 pixels. 3,131 training
# photographs with tags, 223 validation photographs with masks
# (docs/real_photographs.md).
_base_ = ['./voc12_aug_weak.py']
data_root = 'data/voc6'
crop_size = (160, 160)  # pixels; most of a photograph at the scales below
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='RandomScale', ratio_range=(0.25, 0.8)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),  # prevents overfitting
    dict(type='WeakRandomCrop', crop_size=crop_size),
    dict(type='PackWeakSegInputs')
]
test_pipeline = [
    dict(type='LoadWeakImage'),
    # the middle of the training scales
    dict(type='Resize', scale_factor=0.5, keep_ratio=True),
    dict(type='LoadMask'),
    dict(type='ImageLabelFromMask'),
    dict(type='PackWeakSegInputs')
]
tta_pipeline = test_pipeline
dataset = dict(
    type='WeakLabelDataset',
    data_root=data_root,
    label_file='image_labels.txt')  # its first line lists the classes
loader = dict(
    num_workers=0,  # load in the main process: loading is cheap here
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
