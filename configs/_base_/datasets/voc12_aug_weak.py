# PASCAL VOC 2012: 10,582 training images with tags, 1,449 validation images
# with masks
data_root = 'data/VOCdevkit/VOC2012'
crop_size = (512, 512)
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='RandomScale', ratio_range=(0.5, 2.0)),
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
# pipeline of `tools/test.py --tta`; tta_model has the scales and the flip
tta_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='Resize', scale=(512, 512), keep_ratio=True),  # long side 512
    dict(type='LoadMask'),
    dict(type='ImageLabelFromMask'),
    dict(type='PackWeakSegInputs')
]
data_prefix = dict(
    img_path='JPEGImages', seg_map_path='SegmentationClassAug')
train_dataloader = dict(
    # images per process; the published run has 4 in all. For another total
    # the schedule is rescaled (auto_scale_lr).
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,  # overlap copies to the GPU with computation
    # the same images and crops for every num_workers, and after a resume
    sampler=dict(type='ResumableSampler', shuffle=True),
    worker_init_fn=dict(type='ignore_sigterm_in_worker'),
    dataset=dict(
        type='PascalVOCWeakDataset',
        data_root=data_root,
        data_prefix=data_prefix,
        ann_file='ImageSets/Segmentation/trainaug.txt',
        label_file='image_labels.txt',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,  # images keep their own sizes
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PascalVOCWeakDataset',
        data_root=data_root,
        data_prefix=data_prefix,
        ann_file='ImageSets/Segmentation/val.txt',
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader

val_evaluator = [
    # IoU of the segmentation and of the CAMs, under separate names
    dict(type='WeakIoUMetric', iou_metrics=['mIoU']),
    dict(type='ImageLabelMetric'),
]
test_evaluator = val_evaluator
