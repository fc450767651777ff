# Copyright (c) mmseg_afa contributors. All rights reserved.
import logging
import os.path as osp
from typing import Dict, List, Optional, Sequence, Set, Tuple, Union

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log
from mmengine.utils import is_abs
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..utils import isolated_rng
from .image_list import (IMAGE_SUFFIXES, by_stem, composed, find_files,
                         find_images, find_missing, first_few, read_image_list)
from .label_file import MAKE_LABEL_FILE, Labels, read_classes, read_label_file
from .mask_file import voc_palette
from .samplers import SeededIndex
from .transforms.load_image import BrokenImageError


@DATASETS.register_module()
class WeakLabelDataset(BaseSegDataset):
    """Images with image-level labels: which classes they show, not where.

    For training the labels come from a label file, and no mask is needed.
    With ``test_mode=True`` there can be masks, and the label file may be
    missing or leave images out: `ImageLabelFromMask` in the pipeline makes
    the labels of these.

    Each sample has ``image_label``, uint8 of shape (C, ) with 1 for each of
    the C foreground classes that the image shows, and ``num_classes``, C + 1.

    Args:
        label_file (str, optional): The label file, see
            :mod:`mmseg_afa.datasets.label_file`; relative to ``data_root``
            or absolute.
        metainfo (dict, optional): With 'classes', the first of which must be
            'background'. Defaults to 'background' and the classes that the
            label file lists. Without a 'palette' it gets VOC's colours.
        data_root (str, optional): Where the other paths start.
        img_suffix (str or Sequence[str]): How the image files end, in small
            or capital letters; by default in any way that images do.
        broken_files (str): What to do about an image that is missing or
            cannot be read when its turn comes in training: 'raise', or
            'skip': log it, once for each file in each worker with a count,
            and train on another one. Where masks are compared it always
            raises, as scores over other images would not compare.
        **kwargs: See :class:`mmseg.datasets.BaseSegDataset`. ``ann_file`` is
            a list of names, with suffix or without; without it all images of
            the folder are taken. ``data_prefix`` needs 'seg_map_path' only
            where masks are to be read.

    Raises:
        FileNotFoundError: If the label file, the image list, an image or,
            with ``test_mode=True``, a mask is missing.
        ValueError: If one of these, or an argument, is wrong.
    """

    def __init__(self,
                 label_file: Optional[str] = None,
                 metainfo: Optional[dict] = None,
                 data_root: Optional[str] = None,
                 img_suffix: Union[str, Sequence[str]] = IMAGE_SUFFIXES,
                 broken_files: str = 'raise',
                 **kwargs) -> None:
        if broken_files not in ('raise', 'skip'):
            raise ValueError(
                f"{type(self).__name__}: broken_files must be 'raise' or "
                f"'skip', got {broken_files!r}.")
        self.broken_files = broken_files
        self._broken: Set[str] = set()
        if label_file and data_root and not is_abs(label_file):
            label_file = fileio.join_path(data_root, label_file)
        self.label_file = label_file
        metainfo = self._load_metainfo(metainfo)
        if 'classes' not in metainfo:
            metainfo['classes'] = self._listed_classes(
                kwargs.get('backend_args'))
        first = metainfo['classes'][0]
        if first != 'background':
            raise ValueError(
                f'{type(self).__name__}: metainfo.classes begins with '
                f"{first!r}. Put 'background' first: it has id 0 in the "
                'masks, and the tags are about the classes behind it.')
        # mmseg would draw random colours, the background's too
        metainfo.setdefault('palette', voc_palette(len(metainfo['classes'])))
        if isinstance(img_suffix, str):
            img_suffix = (img_suffix, )
        super().__init__(
            metainfo=metainfo,
            data_root=data_root,
            img_suffix=tuple(img_suffix),
            **kwargs)

    def __getitem__(self, idx: int) -> dict:
        """The sample of an image; one that comes with a seed is augmented
        by it, in whichever process."""
        if not isinstance(idx, SeededIndex):
            return super().__getitem__(idx)
        with isolated_rng(idx.seed):
            return super().__getitem__(int(idx))

    def prepare_data(self, idx: int) -> Optional[dict]:
        """Run the pipeline for an image.

        Returns:
            dict: What the pipeline gives, or None for an image to skip.

        Raises:
            ValueError: If more than half of all images were to be skipped.
        """
        try:
            return super().prepare_data(idx)
        except (OSError, BrokenImageError) as error:
            if self.test_mode or self.broken_files == 'raise':
                raise
            path = self.get_data_info(idx)['img_path']
            if path not in self._broken:
                self._broken.add(path)
                # On ranks other than 0 mmengine logs only errors.
                print_log(
                    f'{error} Skipped: {len(self._broken)} of {len(self)} '
                    'images so far.',
                    logger='current',
                    level=logging.ERROR)
            if 2 * len(self._broken) > len(self):
                raise ValueError(
                    f'{len(self._broken)} of {len(self)} images cannot be '
                    f'read: check the disk and {self.data_root}.') from error
            return None

    def _listed_classes(self, backend_args: Optional[dict]) -> tuple:
        """'background' and the classes of the label file's first line."""
        classes = self.label_file and read_classes(self.label_file,
                                                   backend_args)
        if not classes:
            raise ValueError(
                f'{self.label_file or "No label_file"}: lists no classes. '
                'Give a label_file with a first line such as "# cat,cow,dog", '
                "or metainfo=dict(classes=('background', ...)).")
        return ('background', *classes)

    def load_data_list(self) -> List[dict]:
        """Read the image list and the label file, and check them.

        Returns:
            list[dict]: See :meth:`image_info`; and 'image_label' where the
            label file has a line for the image.
        """
        paths = self.find_files(self.list_names())
        tags = by_stem(self.label_file, self.read_labels()[1])
        missing = [name for name in paths if composed(name) not in tags]
        if missing and not self.test_mode:
            raise ValueError(
                f'{self.label_file}: no line for {len(missing)} of '
                f'{len(paths)} images: {first_few(missing)}. Add "name: tag, '
                'tag" lines ("name:" for an image without objects), remove '
                f'the images from {self.ann_file or "the folder"}, or make '
                f'the file anew: {self._make()} with --list naming the image '
                'list.')
        classes = self._metainfo['classes'][1:]
        data_list = []
        for name, path in paths.items():
            info = self.image_info(name, path)
            shown = tags.get(composed(name))
            if shown is not None:
                info['image_label'] = np.array(
                    [one in shown for one in classes], np.uint8)
            data_list.append(info)
        self._check_files('images', list(paths.values()))
        if self.test_mode:
            self._check_files('masks', [
                info['seg_map_path']
                for info in data_list if 'seg_map_path' in info
            ])
        return data_list

    def list_names(self) -> List[str]:
        """The images of the list or, without one, of the folder."""
        if self.ann_file and not osp.isdir(self.ann_file):
            return read_image_list(self.ann_file, self.backend_args)
        return find_images(self.data_prefix['img_path'], self.img_suffix,
                           self.backend_args)

    def find_files(self, names: Sequence[str]) -> Dict[str, str]:
        """The paths of images; see `image_list.find_files`."""
        return find_files(self.data_prefix['img_path'], names, self.img_suffix,
                          self.backend_args)

    def image_info(self, name: str, path: str) -> dict:
        """What mmseg's data sets give for an image, and 'num_classes'."""
        info = dict(
            img_path=path,
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            seg_fields=[],
            num_classes=len(self._metainfo['classes']))
        mask_dir = self.data_prefix.get('seg_map_path')
        if mask_dir is not None:
            info['seg_map_path'] = osp.join(mask_dir,
                                            name + self.seg_map_suffix)
        return info

    def read_labels(self) -> Tuple[Optional[tuple], Labels]:
        """See `read_label_file`; in validation there may be no such file."""
        if self.test_mode and not (self.label_file and fileio.exists(
                self.label_file, backend_args=self.backend_args)):
            return None, {}
        if not self.label_file:
            raise ValueError(
                f'{type(self).__name__} has no label_file to train with: set '
                f'it. {self._make()} makes one for data in the layout of VOC.')
        # Tags may name any class of the data set, also where `metainfo`
        # selects some of them; the others are no objects then.
        classes = self.METAINFO.get('classes', self._metainfo['classes'])
        return read_label_file(self.label_file, classes[1:], self.backend_args)

    def _make(self) -> str:
        return f'`{MAKE_LABEL_FILE} {self.data_root or "DATA_ROOT"}`'

    def _check_files(self, kind: str, paths: List[str]) -> None:
        """Raise FileNotFoundError if some of the files are not there."""
        missing = find_missing(paths, self.backend_args)
        if not missing:
            return
        more = '' if kind == 'images' else (
            ". For images without masks give data_prefix no 'seg_map_path', "
            'and take LoadMask and ImageLabelFromMask out of the pipeline')
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} {kind} are missing: '
            f'{first_few(missing)}: correct data_root, data_prefix or the '
            f'suffix, or remove the names from {self.ann_file or "the folder"}'
            f'{more}.')
