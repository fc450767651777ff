# Second training on your own photos: a plain SegFormer on the masks that
# tools/tags_to_masks.py made with the tags. Correct the first lines.
_base_ = ['./segformer_mit-b1_pseudo-labels_voc.py']
photos = 'photos'  # the folder, as in the command
run = 'runs/pets'  # its --out
masks = f'{run}/masks_with_tags/seg'
model = dict(decode_head=dict(num_classes=None))  # as in the label file
pipeline = _base_.train_dataloader.dataset.pipeline
pipeline.insert(2, dict(type='Resize', scale=(512, 512), keep_ratio=True))
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='WeakLabelDataset',
        label_file=f'{run}/image_labels.txt',
        ann_file=f'{run}/train.txt',
        data_prefix=dict(img_path=photos, seg_map_path=masks),
        pipeline=pipeline))
# Without true masks there is nothing to validate on.
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
default_hooks = dict(checkpoint=dict(save_best=None))
