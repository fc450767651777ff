# Copyright (c) mmseg_afa contributors. All rights reserved.
import logging
import os.path as osp
from typing import (Collection, Dict, List, Optional, Sequence, Set, Sized,
                    Tuple, Union)

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log
from mmengine.utils import is_abs
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..utils import IGNORE_INDEX, UserError
from .image_files import (IMAGE_SUFFIXES, MissingFileError, find_images,
                          format_names, strip_image_suffix)
from .label_file import (MAKE_LABEL_FILE, Tags, index_by_stem, read_image_list,
                         read_label_file)
from .mask_file import voc_palette
from .transforms.load_image import BrokenImageError
from .transforms.load_mask import LoadMask


@DATASETS.register_module()
class WeakLabelDataset(BaseSegDataset):
    """Images with image-level labels: which classes they show, not where.

    Training reads the labels from a label file and needs no masks. With
    ``test_mode=True`` the label file may be missing or incomplete:
    `ImageLabelFromMask` in the pipeline makes these labels from masks.

    Each sample has ``image_label``, uint8 of shape (C, ) with 1 for each of
    the C foreground classes that the image shows, and ``num_classes``, C + 1.

    Args:
        label_file (str, optional): The label file, see
            :mod:`mmseg_afa.datasets.label_file`.
        metainfo (dict, optional): With 'classes', of which the first must be
            'background'. Defaults to 'background' and the classes that the
            label file lists. The default palette is VOC's.
        data_root (str, optional): Where relative paths start.
        img_suffix (str or Sequence[str]): Suffixes of the image files, in any
            case.
        broken_files (str): What to do in training with an image that is
            missing or cannot be read: 'raise', or 'skip' it, log it once and
            train on another image. With ``test_mode=True`` an error is always
            raised.
        trusted_masks (str, optional): Folder of PNG masks of some training
            images, with the names of the images. They are loaded after the
            image, before the other transforms. Ignored with
            ``test_mode=True``.
        **kwargs: See :class:`mmseg.datasets.BaseSegDataset`. ``ann_file`` is
            a list of names, with or without suffix; without it all images of
            the folder are used, in training those with a line in the label
            file. ``data_prefix`` needs 'seg_map_path' only where masks are
            read.

    Raises:
        UserError: If a file is missing or wrong. Masks must exist with
            ``test_mode=True`` only.
    """

    def __init__(self,
                 label_file: Optional[str] = None,
                 metainfo: Optional[dict] = None,
                 data_root: Optional[str] = None,
                 img_suffix: Union[str, Sequence[str]] = IMAGE_SUFFIXES,
                 broken_files: str = 'raise',
                 trusted_masks: Optional[str] = None,
                 **kwargs) -> None:
        if broken_files not in ('raise', 'skip'):
            raise UserError(f'broken_files: found {broken_files!r}, expected '
                            "'raise' or 'skip'.")
        self.broken_files = broken_files
        self._broken: Set[str] = set()
        if label_file and data_root and not is_abs(label_file):
            label_file = fileio.join_path(data_root, label_file)
        if trusted_masks and data_root and not is_abs(trusted_masks):
            trusted_masks = fileio.join_path(data_root, trusted_masks)
        self.label_file, self.trusted_masks = label_file, trusted_masks
        self._listed = None  # what read_label_file returned
        metainfo = self._load_metainfo(metainfo)
        if 'classes' not in metainfo:
            if label_file:
                self._listed = read_label_file(
                    label_file, backend_args=kwargs.get('backend_args'))
            if not (self._listed and self._listed[0]):
                raise UserError(
                    f'{label_file or "No label_file"}: lists no classes. Give '
                    'a label_file with a first line such as "# cat,cow,dog", '
                    "or metainfo=dict(classes=('background', ...)).")
            metainfo['classes'] = ('background', *self._listed[0])
        for key in ('reduce_zero_label', 'filter_cfg', 'ignore_index'):
            if kwargs.get(key) not in (None, False, IGNORE_INDEX):
                raise UserError(
                    f'{type(self).__name__}: found {key}={kwargs[key]!r}. '
                    'Class 0 is the background, ann_file lists the images, '
                    f'and ignored pixels are {IGNORE_INDEX}. Remove {key}.')
        first = metainfo['classes'][0]
        if first != 'background':
            raise UserError(
                f'{type(self).__name__}: metainfo.classes begins with '
                f"{first!r}. Put 'background' first: it has id 0 in the "
                'masks, and the tags are about the classes after it.')
        # mmseg would draw random colours.
        metainfo.setdefault('palette', voc_palette(len(metainfo['classes'])))
        super().__init__(
            metainfo=metainfo,
            data_root=data_root,
            img_suffix=tuple(
                [img_suffix] if isinstance(img_suffix, str) else img_suffix),
            **kwargs)
        self.METAINFO = self.metainfo  # mmseg's tools read it there
        steps = self.pipeline.transforms
        if trusted_masks and not any(isinstance(s, LoadMask) for s in steps):
            steps.insert(1, self.load_trusted_mask)  # after the image

    def get_cat_ids(self, idx: int) -> List[int]:
        """Return the classes of an image's tags, for ClassBalancedDataset."""
        label = self.get_data_info(idx).get('image_label', ())
        return (np.flatnonzero(label) + 1).tolist()

    def prepare_data(self, idx: int) -> Optional[dict]:
        """Run the pipeline for an image; return None for one to skip."""
        try:
            return super().prepare_data(idx)
        except (OSError, BrokenImageError) as error:
            if self.test_mode or self.broken_files != 'skip':
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
                raise UserError(
                    f'{len(self._broken)} of {len(self)} images cannot be '
                    f'read. Check the disk and {self.data_root}.') from error
            return None

    def load_data_list(self) -> List[dict]:
        """Read the image list and the label file, and check them."""
        paths, missing = self.find_images(self.list_names())
        labels = index_by_stem(self.read_labels()[1])
        self._listed = None  # else each worker would get a copy
        unlabelled = [name for name in paths if name not in labels]
        if unlabelled and not self.test_mode:
            message = (f'{self.label_file}: no line for {len(unlabelled)} of '
                       f'{len(paths)} images: {format_names(unlabelled)}.')
            if self.ann_file or len(unlabelled) == len(paths):
                raise UserError(
                    f'{message} Add lines "name: tag, tag", or remove the '
                    'images that are not tagged yet from '
                    f'{self.ann_file or "the folder"}. `{MAKE_LABEL_FILE} '
                    f'{self.data_root or "DATA_ROOT"} --list LIST` makes the '
                    'lines of an image list.')
            print_log(
                f'{message} They are left out of the training. Tag them to '
                'train on them.',
                logger='current',
                level=logging.WARNING)
            paths = {name: paths[name] for name in paths if name in labels}
        masks = self.data_prefix.get('seg_map_path')
        if masks is not None and self.test_mode and not missing:
            _, missing = find_images(masks, [self.seg_map_suffix], paths,
                                     self.backend_args)
        if missing:
            raise MissingFileError(
                f'{len(missing)} of {len(paths)} files are missing: '
                f'{format_names(missing)}. Correct data_root, data_prefix or '
                'the suffix, or remove the names from '
                f'{self.ann_file or "the folder"}. For images without masks, '
                "remove 'seg_map_path' from data_prefix, and LoadMask and "
                'ImageLabelFromMask from the pipeline.')
        classes = self._metainfo['classes'][1:]
        trusted, data_list = self.find_trusted_masks(paths), []
        for name, path in paths.items():
            info = self.image_info(path)
            if name in trusted:
                info.update(seg_map_path=trusted[name], trusted=True)
            shown = labels.get(name)
            if shown is not None:
                info['image_label'] = np.array(
                    [one in shown for one in classes], np.uint8)
            data_list.append(info)
        learns = not self.test_mode and masks is None
        if learns and not any(map(labels.get, paths)):
            raise UserError(
                f'{self.label_file}: no training image has a tag, so there is '
                'nothing to learn. Add tags, or correct the names.')
        return data_list

    def list_names(self) -> Optional[List[str]]:
        """Read the image list; None stands for all images of the folder."""
        if not self.ann_file:
            return None
        return read_image_list(self.ann_file, self.backend_args)

    def find_images(
        self,
        names: Optional[Sequence[str]] = None
    ) -> Tuple[Dict[str, str], List[str]]:
        """Find images; see :func:`mmseg_afa.datasets.image_files.find_images`.
        """
        folder = self.data_prefix['img_path']
        found = find_images(folder, self.img_suffix, names, self.backend_args)
        if names is None and not found[0]:
            raise MissingFileError(
                f'{folder}: no such folder, or no file '
                f'*{" *".join(self.img_suffix)} in it. Correct data_root, '
                'data_prefix or img_suffix, or give an ann_file.')
        return found

    def find_trusted_masks(self, names: Collection[str]) -> Dict[str, str]:
        """Find the trusted masks of training images, by name."""
        folder = self.trusted_masks
        if not folder or self.test_mode:
            return {}
        found, _ = find_images(folder, ['.png'], None, self.backend_args)
        known = {name: found[name] for name in found if name in names}
        other = format_names([name for name in found if name not in names])
        text = (f'{folder}: {len(known)} of {len(found)} PNG files have the '
                f'name of a training image{other and f", not {other}"}. '
                'Correct trusted_masks or the names.')
        if not known:
            raise UserError(text)
        if other:
            print_log(text, logger='current', level=logging.WARNING)
        return known

    def load_trusted_mask(self, results: dict) -> dict:
        """Load the mask of an image that has a trusted one: a transform."""
        if results.get('trusted'):
            return LoadMask(backend_args=self.backend_args)(results)
        return results

    def image_info(self, path: str) -> dict:
        """Return mmseg's keys for an image file, and 'num_classes'."""
        info = dict(
            img_path=path,
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            seg_fields=[],
            num_classes=len(self._metainfo['classes']))
        folder = self.data_prefix.get('seg_map_path')
        if folder is not None:
            file = path[len(osp.join(self.data_prefix['img_path'], '')):]
            stem = strip_image_suffix(file, self.img_suffix)
            info['seg_map_path'] = osp.join(folder, stem + self.seg_map_suffix)
        return info

    def read_labels(self) -> Tuple[Optional[Tags], Dict[str, Tags]]:
        """Read the label file, which may be missing in ``test_mode``.

        Returns:
            tuple: See :func:`read_label_file`.
        """
        if self._listed is not None:
            return self._listed
        # Tags of classes that `metainfo` leaves out are ignored.
        own = type(self).METAINFO
        classes = own.get('classes', self._metainfo['classes'])
        try:
            listed, labels = read_label_file(self.label_file or '',
                                             classes[1:], self.backend_args)
        except MissingFileError:
            if self.test_mode:
                return None, {}
            raise
        known = tuple(classes[1:])
        if listed and listed != known and 'classes' not in own:
            raise UserError(
                f'{self.label_file}:1: lists the classes {", ".join(listed)}, '
                f'but the data set has {", ".join(known)}. List the same '
                'classes in the same order, or remove metainfo.classes.')
        return listed, labels


def read_image_labels(dataset: Sized) -> Optional[np.ndarray]:
    """Read image labels (N, C), or None where only the pipeline makes them."""
    read = getattr(dataset, 'get_data_info', lambda i: {})
    labels = [read(i).get('image_label') for i in range(len(dataset))]
    return None if any(one is None for one in labels) else np.stack(labels)
