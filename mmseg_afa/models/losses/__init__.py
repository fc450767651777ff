# Copyright (c) mmseg_afa contributors. All rights reserved.
from .affinity_loss import AffinityLoss
from .balanced_seg_loss import BalancedSegLoss
from .dense_energy_loss import DenseEnergyLoss
from .multi_label_loss import MultiLabelSoftMarginLoss

__all__ = [
    'AffinityLoss', 'BalancedSegLoss', 'DenseEnergyLoss',
    'MultiLabelSoftMarginLoss'
]
