# Copyright (c) mmseg_afa contributors. All rights reserved.
from typing import Optional

from mmseg.datasets import COCOStuffDataset
from mmseg.registry import DATASETS

from .mask_file import voc_palette
from .weak_label import WeakLabelDataset

NUM_OBJECT_CLASSES = 80


@DATASETS.register_module()
class COCO2014WeakDataset(WeakLabelDataset):
    """MS COCO 2014 with image-level labels: 80 classes and background.

    The classes are numbered 1 to 80 in the order of COCO's category ids
    (which themselves go to 90). ``tools/dataset_converters/coco2014.py``
    makes the files. For the arguments see :class:`WeakLabelDataset`.
    """
    METAINFO = dict(
        # COCO-Stuff has the object classes first, in the order of their ids.
        classes=('background',
                 *COCOStuffDataset.METAINFO['classes'][:NUM_OBJECT_CLASSES]),
        # Its palette gives some of them the same colour.
        palette=voc_palette(NUM_OBJECT_CLASSES + 1))

    def __init__(self,
                 ann_file: str = 'ImageSets/Segmentation/train.txt',
                 data_prefix: dict = dict(img_path='train2014'),
                 label_file: Optional[str] = 'image_labels.txt',
                 **kwargs) -> None:
        super().__init__(
            label_file, ann_file=ann_file, data_prefix=data_prefix, **kwargs)
