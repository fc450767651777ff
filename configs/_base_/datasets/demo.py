# The synthetic scenes of tools/dataset_converters/make_demo_data.py: 600 with
# tags to train on, 100 with masks to validate on
data_root = 'data/demo'
crop_size = (96, 96)  # the scenes are about 128 x 112
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='RandomScale', ratio_range=(0.75, 1.33)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='WeakRandomCrop', crop_size=crop_size),
    dict(type='PackWeakSegInputs')
]
test_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='LoadMask'),
    dict(type='ImageLabelFromMask'),
    dict(type='PackWeakSegInputs')
]
tta_pipeline = test_pipeline
dataset = dict(
    type='WeakLabelDataset',
    data_root=data_root,
    # its first line lists the classes
    label_file='image_labels.txt')
train_dataloader = dict(
    batch_size=8,
    num_workers=0,  # two cores are busy enough, and loading is cheap here
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path='JPEGImages'),
        ann_file='ImageSets/Segmentation/trainaug.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        data_prefix=dict(
            img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
        ann_file='ImageSets/Segmentation/val.txt',
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU']),
    # both are given the true image labels, as their names say
    dict(type='CAMIoUMetric', field='cam_label'),
    dict(type='CAMIoUMetric', field='affinity_cam_label'),
    dict(type='ImageLabelMetric'),
]
test_evaluator = val_evaluator
