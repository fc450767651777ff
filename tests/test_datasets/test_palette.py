# Copyright (c) mmseg_afa contributors. All rights reserved.
from mmseg.datasets import PascalVOCDataset

from mmseg_afa.datasets.mask_file import voc_palette


def test_it_goes_on_where_the_colours_of_voc_end():
    assert voc_palette(21) == PascalVOCDataset.METAINFO['palette']
    assert len(set(map(tuple, voc_palette(256)))) == 256
