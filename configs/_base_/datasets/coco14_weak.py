# MS COCO 2014: 82,081 training images with tags only, 40,137 with masks to
# validate on; layout and file names: docs/datasets.md
_base_ = ['./voc12_aug_weak.py']
data_root = 'data/coco2014'
train_dataloader = dict(
    batch_size=8,  # images per process; 8 in all as published
    dataset=dict(
        type='COCO2014WeakDataset',
        data_root=data_root,
        data_prefix=dict(img_path='train2014', _delete_=True),
        ann_file='ImageSets/Segmentation/train.txt'))
val_dataloader = dict(
    dataset=dict(
        type='COCO2014WeakDataset',
        data_root=data_root,
        data_prefix=dict(
            img_path='val2014', seg_map_path='SegmentationClass/val2014'),
        ann_file='ImageSets/Segmentation/val.txt'))
test_dataloader = val_dataloader
