# Copyright (c) mmseg_afa contributors. All rights reserved.
from .background_score_hook import BackgroundScoreHook
from .non_finite_loss_hook import NonFiniteLossHook
from .par_refinement_hook import PARRefinementHook
from .pseudo_label_visualization_hook import PseudoLabelVisualizationHook
from .resumable_checkpoint_hook import ResumableCheckpointHook
from .training_report_hook import TrainingReportHook

__all__ = [
    'BackgroundScoreHook', 'NonFiniteLossHook', 'PARRefinementHook',
    'PseudoLabelVisualizationHook', 'ResumableCheckpointHook',
    'TrainingReportHook'
]
