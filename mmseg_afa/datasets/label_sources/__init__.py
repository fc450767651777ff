# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Where image labels come from: a file for each kind of source.

Each reads one source and returns what ``read_label_file`` returns: the
foreground classes that the source itself lists, or None, and the tags of each
image, named as in an image list. None of them knows where the labels go, or
which classes are right: :mod:`.settle` brings them into the shape of a label
file, and ``tools/dataset_converters/image_labels.py`` is the command.
"""
from .from_coco import read_coco
from .from_csv import read_csv
from .from_folders import read_folders
from .from_json import read_json
from .from_masks import read_masks
from .from_onehot import read_onehot
from .from_text import read_text
from .from_xml import read_xml
from .settle import select_images, settle_tags
from .tables import read_utf8

__all__ = [
    'read_coco', 'read_csv', 'read_folders', 'read_json', 'read_masks',
    'read_onehot', 'read_text', 'read_utf8', 'read_xml', 'select_images',
    'settle_tags'
]
