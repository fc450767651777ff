# Copyright (c) mmseg_afa contributors. All rights reserved.
from .image_label_metric import ImageLabelMetric
from .weak_iou_metric import WeakIoUMetric

__all__ = ['ImageLabelMetric', 'WeakIoUMetric']
