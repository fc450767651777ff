# Your own photos: correct the lines below (docs/your_data.md)
_base_ = ['./afa_mit-b1_voc.py']
data_root = 'data/pets'  # all other paths start in this folder
train_images = 'JPEGImages/train'  # may have subfolders
val_images = 'JPEGImages/val'
val_masks = None  # such as 'masks/val': PNG files with the names of the images
resize = dict(type='Resize', scale=(512, 512), keep_ratio=True)
load = [dict(type='LoadWeakImage'), resize]  # or crops miss the objects
train_pipeline = [*load, *_base_.train_pipeline[1:]]
test_pipeline = [*load, dict(type='PackWeakSegInputs')]
val_prefix = dict(img_path=val_images)
val_evaluator = [dict(type='ImageLabelMetric')]  # scores the tags
save_best = None  # a good classifier may come before a good segmentation
if val_masks:  # scores them, too
    test_pipeline = [*load, *_base_.test_pipeline[1:]]
    val_prefix.update(seg_map_path=val_masks)
    val_evaluator = _base_.val_evaluator
    save_best = 'mIoU'

# as many as the label file lists, and the background
model = dict(decode_head=dict(num_classes=None))
dataset = dict(
    type='WeakLabelDataset',
    _delete_=True,
    data_root=data_root,
    label_file='image_labels.txt')  # made by image_labels.py
train_dataloader = dict(
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path=train_images),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        **dataset,
        data_prefix=val_prefix,
        test_mode=True,
        pipeline=test_pipeline))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best=save_best))
# draw the labels of several background scores at the end of classification
custom_hooks = [dict(type='BackgroundScoreHook')]
