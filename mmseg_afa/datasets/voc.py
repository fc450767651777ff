# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional

from mmseg.datasets import PascalVOCDataset
from mmseg.registry import DATASETS

from .weak_label import WeakLabelDataset


@DATASETS.register_module()
class PascalVOCWeakDataset(WeakLabelDataset):
    """PASCAL VOC 2012 with image-level labels: 20 classes and background.

    Args:
        ann_file (str): Image list. Defaults to the 10,582 images of trainaug.
        data_prefix (dict): Folders of the images and, to validate, masks.
        label_file (str, optional): Made by
            ``tools/dataset_converters/image_labels.py``.
        img_suffix (str): How the image files end.
        **kwargs: See :class:`WeakLabelDataset`.
    """
    METAINFO = PascalVOCDataset.METAINFO

    def __init__(self,
                 ann_file: str = 'ImageSets/Segmentation/trainaug.txt',
                 data_prefix: dict = dict(
                     img_path='JPEGImages',
                     seg_map_path='SegmentationClassAug'),
                 label_file: Optional[str] = 'image_labels.txt',
                 img_suffix: str = '.jpg',
                 **kwargs) -> None:
        super().__init__(
            ann_file=ann_file,
            data_prefix=data_prefix,
            label_file=label_file,
            img_suffix=img_suffix,
            **kwargs)
