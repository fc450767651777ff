_base_ = [
    '../_base_/models/afa_mit-b1.py', '../_base_/datasets/coco14_weak.py',
    '../_base_/schedules/afa_80k.py', '../_base_/default_runtime.py'
]
model = dict(
    decode_head=dict(num_classes=81),  # 80 classes and background
    labeler=dict(refiner=dict(num_iter=15)),  # iterations of PAR
    train_cfg=dict(
        cam_iters=5000,  # classification only until here
        switch_iter=15000,  # CAM labels until here, then refined labels
        # the affinity learns from the segmentation label of the phase
        affinity_label_from='seg'))
