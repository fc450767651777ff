# Copyright (c) mmseg_afa contributors. All rights reserved.
from .device import describe_device, measured_peak
from .inference import benchmark_inference
from .part_timer import PartTimer
from .refinement import benchmark_par
from .report import compare_table, projected_seconds, report_tables
from .training import benchmark_training

__all__ = [
    'PartTimer', 'benchmark_inference', 'benchmark_par', 'benchmark_training',
    'compare_table', 'describe_device', 'measured_peak', 'projected_seconds',
    'report_tables'
]
