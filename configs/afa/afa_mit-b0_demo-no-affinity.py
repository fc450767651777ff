# The demo's network without affinity and PAR: thresholded CAMs supervise the
# segmentation throughout. A row of the paper's ablation, and the demo's
# baseline.
_base_ = ['./afa_mit-b0_demo.py']
model = dict(affinity_head=None, test_cfg=dict(with_affinity_cam=False))
custom_hooks = []
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU']),
    dict(type='CAMIoUMetric', field='cam_label'),
    dict(type='ImageLabelMetric'),
]
test_evaluator = val_evaluator
