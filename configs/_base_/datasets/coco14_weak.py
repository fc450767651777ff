# MS COCO 2014: 82,081 training images with tags, 40,137 validation images with
# masks. docs/datasets.md shows the folders.
_base_ = ['./voc12_aug_weak.py']
data_root = 'data/coco2014'
train_dataloader = dict(
    batch_size=8,  # images per process; the published run has 8 in all
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
