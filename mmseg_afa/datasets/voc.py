# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional

from mmseg.datasets import PascalVOCDataset
from mmseg.registry import DATASETS

from .weak_label import WeakLabelDataset


@DATASETS.register_module()
class PascalVOCWeakDataset(WeakLabelDataset):
    """PASCAL VOC 2012 with image-level labels: 20 classes and background.

    The image list defaults to the 10,582 images of trainaug.
    ``tools/dataset_converters/image_labels.py`` makes the label file. For the
    arguments see :class:`WeakLabelDataset`.
    """
    METAINFO = PascalVOCDataset.METAINFO

    def __init__(self,
                 ann_file: str = 'ImageSets/Segmentation/trainaug.txt',
                 data_prefix: dict = dict(
                     img_path='JPEGImages',
                     seg_map_path='SegmentationClassAug'),
                 label_file: Optional[str] = 'image_labels.txt',
                 **kwargs) -> None:
        super().__init__(
            label_file, ann_file=ann_file, data_prefix=data_prefix, **kwargs)
