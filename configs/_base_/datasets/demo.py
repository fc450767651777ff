# The scenes of tools/demo/make_demo_data.py: 600 training scenes with tags and
# 100 validation scenes with masks
_base_ = ['./voc12_aug_weak.py']
data_root = 'data/demo'
crop_size = (96, 96)  # pixels; the scenes are about 128 x 112
train_pipeline = [
    dict(type='LoadWeakImage'),
    dict(type='RandomScale', ratio_range=(0.75, 1.33)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='WeakRandomCrop', crop_size=crop_size),
    dict(type='PackWeakSegInputs')
]
tta_pipeline = _base_.test_pipeline  # no resize: the scenes are small
dataset = dict(
    type='WeakLabelDataset',
    data_root=data_root,
    label_file='image_labels.txt')  # its first line lists the classes
loader = dict(
    num_workers=0,  # load in the main process: loading is cheap here
    persistent_workers=False,
    sampler=dict(seed=0))  # the same order of the scenes for every other seed
train_dataloader = dict(
    **loader,
    batch_size=8,
    pin_memory=False,
    dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(**loader, dataset=dataset)
test_dataloader = val_dataloader
