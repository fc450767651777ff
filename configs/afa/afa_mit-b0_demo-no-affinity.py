# The demo's network without affinity and PAR: thresholded CAMs supervise the
# segmentation throughout. A row of the paper's ablation, and the demo's
# baseline.
_base_ = ['./afa_mit-b0_demo.py']
model = dict(affinity_head=None, labeler=dict(refiner=None))
