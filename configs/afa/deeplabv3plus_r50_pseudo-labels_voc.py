# Second training: mmseg's DeepLabV3+ on the pseudo labels that
# tools/predict.py made from the training images and their tags.
_base_ = [
    'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb4-20k_voc12aug-512x512.py'
]
train_dataloader = dict(
    batch_size=16,  # images per process
    dataset=dict(
        _delete_=True,
        type='PascalVOCDataset',
        data_root=_base_.data_root,
        # of `predict.py --out data_root/pseudo_labels`; 255 is ignored
        data_prefix=dict(
            img_path='JPEGImages',
            seg_map_path='pseudo_labels/refined_label'),
        ann_file='ImageSets/Segmentation/trainaug.txt',
        pipeline=_base_.train_pipeline))
auto_scale_lr = dict(
    enable=True,
    base_batch_size=16)  # mmseg has four GPUs with four
default_hooks = dict(checkpoint=dict(save_best='mIoU'))
