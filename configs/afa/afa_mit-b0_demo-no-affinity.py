# The baseline of the demo: without affinity and PAR. Thresholded CAMs
# supervise the segmentation.
_base_ = ['./afa_mit-b0_demo.py']
model = dict(affinity_head=None, labeler=dict(refiner=None))
