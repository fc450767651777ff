# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Masks of photos, in Python."""
from functools import partial
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import (Any, Callable, Dict, Iterable, Iterator, List, Optional,
                    Sequence, Tuple, Union)

import mmcv
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmengine.structures import PixelData
from mmseg.apis import MMSegInferencer
from mmseg.registry import DATASETS, MODELS, TRANSFORMS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..utils import checkpoints
from ..datasets.mask_file import voc_palette
from ..datasets.transforms.load_image import BrokenImageError
from ..models import (SOURCES, ScoreMaps, among_tags, multi_scale_logits,
                      refine_all, tiled_logits)
from ..models.utils import by_size, resize, unpad
from ..utils import IGNORE_INDEX, ordered_map

PhotoType = Union[str, PathLike, np.ndarray]

CONFIGS = Path(__file__).parents[1] / '.mim' / 'configs'
LONG_SIDE = 1024  # of what the network gets, unless the pipeline says less
PIXELS_AT_ONCE = dict(cpu=2**20, cuda=2**24)  # of the photos of a batch


class AFAInferencer(MMSegInferencer):
    """Predicts masks of photos; a drop-in for mmseg's inferencer.

    ``inferencer(photos)`` does what mmseg's does, and keeps all results in
    memory. :meth:`stream` gives them one by one, for any number of photos.
    A photo is a path or a BGR uint8 array (H, W, 3).

    Args:
        model (str or Config): A config, its path, or the name of a config
            that ships, such as 'afa_mit-b1_voc'. Models other than AFA have
            the source 'seg' only.
        weights (str): The checkpoint.
        classes, palette, device: As of MMSegInferencer; by default those of
            the checkpoint, or of the config's data set.
        sources (Sequence[str]): What label maps are made of, of
            :data:`SOURCES`: 'seg', the segmentation; 'cam' and
            'affinity_cam', as they are evaluated; 'cam_label' and
            'refined_label', as they are trained with (255 where they are
            unsure).
        refiner (dict, optional): Config of a refiner, dict(type='PAR') or
            dict(type='DenseCRF'), for all sources but labels, which the
            model's own has refined. It works at the photo's size, or at a
            long side of `long_side` if that is less.
        tta (bool): Test-time augmentation of the segmentation, as the
            config's `tta_model` and `tta_pipeline` say.
        long_side (int): Photos that the test pipeline leaves larger are
            shrunk to it.
        tile (int, optional): Side of the tiles in which the segmentation of
            larger photos is predicted, without shrinking them. Image scores
            are those of the shrunk photo.
        unsure (float): Pixels of a lower confidence get 255.

    Raises:
        ValueError: If an argument, or the model with it, makes no sense.
        CheckpointError: If the checkpoint cannot be read or does not fit.
    """

    def __init__(self,
                 model: Union[str, dict],
                 weights: str,
                 classes: Optional[Sequence[str]] = None,
                 palette: Optional[Sequence[Sequence[int]]] = None,
                 device: Optional[str] = None,
                 sources: Sequence[str] = ('seg', ),
                 refiner: Optional[dict] = None,
                 tta: bool = False,
                 long_side: int = LONG_SIDE,
                 tile: Optional[int] = None,
                 unsure: float = 0.) -> None:
        self.sources, self.tta = tuple(sources), tta
        self.long_side, self.tile, self.unsure = long_side, tile, unsure
        super().__init__(
            model=model,
            weights=weights,
            classes=classes,
            palette=palette,
            device=device)
        self.show_progress = False
        self._check_sources()
        self.refiner = MODELS.build(refiner) if refiner else None

    def _check_sources(self) -> None:
        possible = ['seg']
        if hasattr(self.model, 'score_maps'):
            possible += ['cam', 'cam_label']
            if self.model.affinity_head is not None:
                possible = SOURCES
        if self.tile:
            possible = ['seg']
        wrong = [s for s in self.sources if s not in possible]
        if wrong or not self.sources:
            raise ValueError(
                f'sources: found {wrong}; {type(self.model).__name__}'
                f'{" in tiles" * bool(self.tile)} has {", ".join(possible)}.')

    # -- the model and its pipeline ----------------------------------------
    def _load_model_from_metafile(self, model: str) -> Tuple[Config, None]:
        return named_config(model), None  # there are no weights to download

    def _init_model(self, cfg, weights, device='cpu') -> nn.Module:
        self._weights = weights
        return super()._init_model(cfg, weights, device)

    def _load_weights_to_model(self, model: nn.Module, checkpoint: dict,
                               cfg: Config) -> None:
        checkpoints.check_weights(model, checkpoint, self._weights)
        _load_checkpoint_to_model(model, checkpoint)
        meta = (checkpoint.get('meta') or {}).get('dataset_meta')
        model.dataset_meta = meta or dataset_meta(cfg)

    def _init_pipeline(self, cfg: Config) -> Callable[[PhotoType], dict]:
        """The test pipeline without its annotations, for paths and arrays."""
        transforms = cfg.test_dataloader.dataset.pipeline
        if self.tta:
            tta_model = cfg.get('tta_model') or {}
            if tta_model.get('type') != 'MultiScaleMaxTTA':
                raise ValueError(
                    'tta needs a config with a tta_pipeline and tta_model = '
                    "dict(type='MultiScaleMaxTTA', scales=..., flip=...).")
            self._scales, self._flip = tta_model.scales, tta_model.flip
            transforms = cfg.tta_pipeline
        transforms = list(transforms)
        i = self._get_transform_idx(transforms, 'LoadAnnotations')
        if i != -1:
            del transforms[i]
        loads = {
            key: value
            for key, value in transforms[0].items() if key != 'type'
        }
        load = TRANSFORMS.build(dict(loads, type='LoadWeakImage'))
        rest = Compose([*transforms[1:-1], self._shrink, transforms[-1]])

        def pipeline(photo: PhotoType) -> dict:
            if isinstance(photo, np.ndarray):
                shape = photo.shape[:2]
                results = dict(img=photo, img_shape=shape, ori_shape=shape)
            else:
                results = load(dict(img_path=fspath(photo)))
            return rest(results)

        return pipeline

    def _shrink(self, results: dict) -> dict:
        if self.tile is None:
            size = limit(results['img'].shape[:2], self.long_side)
            if size != results['img'].shape[:2]:
                results['img'] = mmcv.imresize(
                    results['img'], size[::-1], interpolation='area')
                results['img_shape'] = size
        return results

    # -- prediction --------------------------------------------------------
    def stream(self,
               photos: Union[PhotoType, Iterable[PhotoType]],
               tags: Optional[Callable[[PhotoType], Sequence[str]]] = None,
               batch_size: int = 8,
               broken: Optional[Callable[[PhotoType, Exception], None]] = None,
               workers: int = 2) -> Iterator[SegDataSample]:
        """Predict any number of photos, one after the other.

        Args:
            photos (Iterable): Photos, such as the frames of an
                ``mmcv.VideoReader``; there may be no end of them.
            tags (Callable, optional): Gives the tags of a photo, to which its
                masks are limited.
            batch_size (int): How many are loaded together. Those of one size
                go through the network together, if they are small.
            broken (Callable, optional): Called with a photo that cannot be
                read, and the error; the photo is left out. By default the
                error is raised.
            workers (int): Threads that load photos.

        Yields:
            SegDataSample: With `pred_sem_seg` (1, H, W) uint8 and
            `confidence` (1, H, W) float32 of the first source, and for each
            source `SOURCE_mask` and `SOURCE_confidence`; with
            `pred_image_scores` (C, ) where the model classifies.
        """
        if isinstance(photos, (str, PathLike, np.ndarray)):
            photos = [photos]

        def load(photo):
            try:
                return photo, self.pipeline(photo)
            except (OSError, BrokenImageError) as error:
                if broken is None:
                    raise
                return photo, error

        loaded = ordered_map(load, photos, workers)
        while True:
            chunk = list(islice(loaded, 1 if self.tile else batch_size))
            if not chunk:
                return
            batch, labels = [], []
            for photo, data in chunk:
                if isinstance(data, Exception):
                    broken(photo, data)
                    continue
                batch.append(data)
                labels.append(tags and self.image_label(tags(photo)))
            if batch:
                yield from self.forward(pseudo_collate(batch), labels)

    def image_label(self, tags: Sequence[str]) -> Tensor:
        """Multi-hot label (C, ) of tags."""
        classes = self.model.dataset_meta['classes'][1:]
        return torch.tensor([float(name in tags) for name in classes])

    @torch.no_grad()
    def forward(self,
                inputs: dict,
                image_labels: Optional[Sequence[Optional[Tensor]]] = None,
                **kwargs) -> List[SegDataSample]:
        """Predict a batch of the pipeline's; see :meth:`stream`."""
        count = len(inputs['inputs'])
        out = by_size(
            self._in_parts,
            dict(inputs, image_labels=image_labels or [None] * count))
        return [sample.cpu() for sample in out]

    def _in_parts(self, data: Dict[str, list]) -> List[SegDataSample]:
        """Predict photos of one size, a few at once if they are large."""
        device = next(self.model.parameters()).device.type
        pixels = PIXELS_AT_ONCE.get(device, PIXELS_AT_ONCE['cpu'])
        step = max(pixels // data['inputs'][0][0].numel(), 1)
        out = []
        for i in range(0, len(data['inputs']), step):
            out += self._predict({k: v[i:i + step] for k, v in data.items()})
        return out

    def _predict(self, data: Dict[str, list]) -> List[SegDataSample]:
        """Predict photos of one size."""
        raw = data['inputs']
        batch = self.model.data_preprocessor(
            dict(inputs=raw, data_samples=data['data_samples']), False)
        inputs, samples = batch['inputs'], batch['data_samples']
        labels = [
            label if label is None else label.to(inputs.device)
            for label in data['image_labels']
        ]
        scores, maps = self._score_maps(inputs, labels)
        found = [{
            source:
            self._unpadded(maps[source].image(i), inputs, sample.metainfo)
            for source in self.sources
        } for i, sample in enumerate(samples)]
        if self.refiner is not None:
            self._refine(found, raw, samples)
        for i, sample in enumerate(samples):
            if scores is not None:
                sample.set_field(scores[i], 'pred_image_scores')
            self._add_masks(sample, found[i])
        return samples

    def _add_masks(self, sample: SegDataSample, maps: Dict[str,
                                                           ScoreMaps]) -> None:
        """Give a sample its masks, at the photo's size."""
        for source, one in maps.items():
            mask, share = one.at(sample.ori_shape[:2])
            mask.masked_fill_(share < self.unsure, IGNORE_INDEX)
            sample.set_field(PixelData(data=mask), f'{source}_mask')
            sample.set_field(PixelData(data=share), f'{source}_confidence')
        sample.pred_sem_seg = sample.get(f'{self.sources[0]}_mask')
        sample.confidence = sample.get(f'{self.sources[0]}_confidence')

    def _score_maps(
        self, inputs: Tensor, labels: Sequence[Optional[Tensor]]
    ) -> Tuple[Optional[Tensor], Dict[str, ScoreMaps]]:
        """See `AFA.score_maps`; other models have no image scores."""
        afa = hasattr(self.model, 'score_maps')
        logits = None
        if self.tta or self.tile or not afa:
            forward = partial(
                multi_scale_logits,
                self.model,
                scales=self._scales if self.tta else (1., ),
                flip=self._flip if self.tta else False)
            logits = tiled_logits(forward, inputs,
                                  self.tile) if self.tile else forward(inputs)
        if afa and not self.tile:
            return self.model.score_maps(inputs, self.sources, labels, logits)
        scores = None
        if afa:
            small = resize(inputs, limit(inputs.shape[-2:], self.long_side))
            scores, _ = self.model.score_maps(small, (), labels)
        return scores, dict(seg=among_tags(logits, labels))

    def _unpadded(self, maps: ScoreMaps, inputs: Tensor,
                  meta: dict) -> ScoreMaps:
        """Scores where the photo is, as `to_original` takes them."""
        if self.tile:  # at the grid: a map of the photo's size is too large
            return maps
        scores = unpad(resize(maps.scores, inputs.shape[-2:]), meta)
        return maps._replace(scores=scores)

    def _refine(self, maps: Sequence[Dict[str,
                                          ScoreMaps]], raw: Sequence[Tensor],
                samples: Sequence[SegDataSample]) -> None:
        """Refine the scores of photos, in place."""
        for source in self.sources:
            if source.endswith('_label'):
                continue
            images, shares = [], []
            for one, image, sample in zip(maps, raw, samples):
                size = limit(sample.ori_shape[:2], self.long_side)
                coarse = one.pop(source)  # they may be large: kept once
                coarse = coarse._replace(scores=resize(coarse.scores, size))
                shares.append(coarse.shares())
                images.append(
                    resize(image[None].to(coarse.scores) / 255, size)[0])
            refined = refine_all(self.refiner, images,
                                 [one.scores[0] for one in shares])
            for one, share, scores in zip(maps, shares, refined):
                one[source] = share._replace(scores=scores[None])


def named_config(name: str) -> Config:
    """The config that ships under a name, such as 'afa_mit-b1_voc'.

    Raises:
        ValueError: If there is none.
    """
    found = sorted(CONFIGS.glob(f'[a-z]*/{name}.py'))
    if not found:
        names = sorted(path.stem for path in CONFIGS.glob('[a-z]*/*.py'))
        raise ValueError(f'{name}: no such config file, and none that ships '
                         f'has this name: {", ".join(names)}.')
    return Config.fromfile(found[0])


def limit(size: Sequence[int], long_side: int) -> Tuple[int, int]:
    """A height and width, shrunk to a long side if it is larger."""
    factor = min(long_side / max(size), 1)
    return tuple(max(round(n * factor), 1) for n in size)


def dataset_meta(cfg: Config) -> Dict[str, Any]:
    """Classes and palette of a config's test data set.

    Raises:
        ValueError: If the config names none.
    """
    dataset = cfg.test_dataloader.dataset
    meta = dict(
        getattr(DATASETS.get(dataset.type), 'METAINFO', {}),
        **(dataset.get('metainfo') or {}))
    if 'classes' not in meta:
        raise ValueError(
            'neither the checkpoint nor the config names the classes: add '
            "metainfo=dict(classes=('background', ...)) to "
            'test_dataloader.dataset.')
    meta.setdefault('palette', voc_palette(len(meta['classes'])))
    return meta
