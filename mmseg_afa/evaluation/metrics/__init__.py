# Copyright (c) mmseg_afa contributors. All rights reserved.
from .cam_iou_metric import CAMIoUMetric
from .image_label_metric import ImageLabelMetric

__all__ = ['CAMIoUMetric', 'ImageLabelMetric']
