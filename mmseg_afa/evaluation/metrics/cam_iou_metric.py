# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional, Sequence

from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS


@METRICS.register_module()
class CAMIoUMetric(IoUMetric):
    """mIoU of a label map made from the CAM and the TRUE image labels.

    The classes of each image are given, so this is not a segmentation score:
    it measures pseudo labels. The prefix of its results says so.

    Args:
        field (str): 'cam_label' or 'affinity_cam_label', the label map of
            the samples that is scored.
        prefix (str, optional): Default: 'cam_given_tags' or
            'affinity_cam_given_tags'.
        kwargs: Of IoUMetric.
    """

    def __init__(self,
                 field: str = 'cam_label',
                 prefix: Optional[str] = None,
                 **kwargs) -> None:
        prefix = prefix or field.replace('_label', '_given_tags')
        super().__init__(prefix=prefix, **kwargs)
        self.field = field

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Count the intersections and unions of a batch."""
        for sample in data_samples:
            if self.field not in sample:
                raise KeyError(
                    f'CAMIoUMetric: predictions carry no `{self.field}`; set '
                    'model.test_cfg.with_cam (with_affinity_cam) to True')
        super().process(data_batch, [
            dict(sample, pred_sem_seg=sample[self.field])
            for sample in data_samples
        ])
