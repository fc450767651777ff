# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Predict masks of photos in Python."""
from itertools import islice
from os import PathLike, fspath
from typing import (Callable, Dict, Iterable, Iterator, List, Optional,
                    Sequence, Tuple, Union)

import mmcv
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmengine.structures import PixelData
from mmseg.apis import MMSegInferencer
from mmseg.registry import MODELS, TRANSFORMS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ..datasets.label_file import unknown_tags
from ..datasets.mask_file import voc_palette
from ..datasets.transforms.load_image import BrokenImageError, to_bgr
from ..engine.classes import (check_checkpoint_classes, checkpoint_classes,
                              settle_classes)
from ..engine.launch import read_config, test_pipeline
from ..models.segmentors.logits import MIN_TILE
from ..models.segmentors.maps import LONG_SIDE, TTA, limit, photo_maps, refine
from ..models.utils import by_size
from ..utils import (IGNORE_INDEX, UserError, check_least, checkpoints,
                     ordered_map)

PhotoType = Union[str, PathLike, np.ndarray]
RESIZE = ('Resize', 'ResizeShortestEdge')  # transforms that set the size


class AFAInferencer(MMSegInferencer):
    """Predict masks of photos; a drop-in for mmseg's inferencer.

    ``inferencer(photos)`` keeps all results in memory, as mmseg's inferencer
    does. :meth:`stream` yields one result after another, for any number of
    photos. A photo is a path or a uint8 array: BGR (H, W, 3), BGRA (H, W, 4)
    or grey (H, W).

    Args:
        model (str or Config): A config, its path, or the name of a config
            that ships, such as 'afa_mit-b1_voc'. Models other than AFA have
            the source 'seg' only.
        weights (str): The checkpoint.
        sources (Sequence[str]): Names of :data:`maps.SOURCES`.
        refiner (dict, optional): Config of a refiner, dict(type='PAR') or
            dict(type='DenseCRF'), for all sources but labels.
        tta (bool): Test-time augmentation of the segmentation, by the
            config's `tta_model` and `tta_pipeline`.
        long_side (int, optional): Larger photos are shrunk to this many
            pixels, in place of the pipeline's Resize. By default the Resize
            applies, and then a long side of 1024.
        tile (int, optional): Side of the tiles in which the segmentation of
            larger photos is predicted, without shrinking or Resize.
        unsure (float): Pixels of a lower confidence become 255.
        segments (Callable, optional): Applied to each mask as
            ``segments(mask, path)``, such as a :class:`SegmentFolder`.
        **kwargs: Arguments of MMSegInferencer, such as `device`.

    Raises:
        UserError: If an argument is wrong, or does not fit the model.
        CheckpointError: If the checkpoint cannot be read or does not fit.
    """

    def __init__(self,
                 model: Union[str, dict],
                 weights: str,
                 sources: Sequence[str] = ('seg', ),
                 refiner: Optional[dict] = None,
                 tta: bool = False,
                 long_side: Optional[int] = None,
                 tile: Optional[int] = None,
                 unsure: float = 0.,
                 segments: Optional[Callable] = None,
                 **kwargs) -> None:
        if not 0 <= unsure <= 1:
            raise UserError(f'unsure: found {unsure}, expected a confidence '
                            'from 0 to 1, such as 0.6.')
        check_least(
            dict(long_side=long_side, tile=tile), long_side=1, tile=MIN_TILE)
        self.sources, self.tta = tuple(sources), tta
        self.tile, self.unsure, self.segments = tile, unsure, segments
        self.long_side = long_side or LONG_SIDE
        self._skipped = ('LoadAnnotations', *(RESIZE if long_side or tile else
                                              ()))
        super().__init__(model, weights, **kwargs)
        self.show_progress = False
        self.refiner = MODELS.build(refiner) if refiner else None
        possible = getattr(self.model, 'sources', ('seg', ))
        if tile:
            possible = ('seg', )
        wrong = [source for source in sources if source not in possible]
        if wrong:
            raise UserError(
                f'sources: found {wrong}; {type(self.model).__name__}'
                f'{" in tiles" * bool(tile)} has {", ".join(possible)}.')

    def _load_model_from_metafile(self, model: str) -> Tuple[Config, None]:
        return read_config(model), None  # there are no weights to download

    def _init_model(self, cfg, weights, device='cpu') -> nn.Module:
        checkpoint = CheckpointLoader.load_checkpoint(weights, 'cpu')
        classes = settle_classes(cfg, checkpoint_classes(checkpoint))
        check_checkpoint_classes(classes, checkpoint, weights)
        model = MODELS.build(cfg.model)
        checkpoints.check_weights(model, checkpoint, weights)
        _load_checkpoint_to_model(model, checkpoint)
        meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
        classes = meta.get('classes') or classes
        if not classes:
            raise UserError(
                f'Neither {weights} nor the config names the classes: add '
                "metainfo=dict(classes=('background', ...)) to "
                'test_dataloader.dataset.')
        # mmseg's visualizer takes no other keys.
        palette = meta.get('palette') or voc_palette(len(classes))
        model.cfg = cfg
        model.dataset_meta = dict(classes=classes, palette=palette)
        return model.to(device).eval()

    def _init_pipeline(self, cfg: Config) -> Callable[[PhotoType], dict]:
        """Build the test pipeline for photos, without annotations."""
        self._tta = tta_of(cfg) if self.tta else None
        transforms = cfg.tta_pipeline if self.tta else test_pipeline(cfg)
        first, *middle, last = (
            transform for transform in transforms
            if transform['type'] not in self._skipped)
        load = TRANSFORMS.build(dict(first, type='LoadWeakImage'))
        rest = Compose([*middle, self._shrink, last])

        def pipeline(photo: PhotoType) -> dict:
            if isinstance(photo, np.ndarray):
                shape = photo.shape[:2]
                results = dict(
                    img=to_bgr(photo), img_shape=shape, ori_shape=shape)
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

    def stream(
        self,
        photos: Union[PhotoType, Iterable[PhotoType]],
        tags: Optional[Callable[[PhotoType], Sequence[str]]] = None,
        batch_size: int = 8,
        broken: Optional[Callable[[PhotoType, Exception], None]] = None
    ) -> Iterator[SegDataSample]:
        """Predict any number of photos, one after another.

        Args:
            photos (Iterable): Photos, such as the frames of an
                ``mmcv.VideoReader``; there may be no end of them.
            tags (Callable, optional): Returns the tags of a photo, to which
                its masks are restricted. An unknown tag is an error.
            batch_size (int): Photos that are loaded together.
            broken (Callable, optional): Called with a photo that cannot be
                read, and the error; the photo is skipped. By default the
                error is raised.

        Yields:
            SegDataSample: With `pred_sem_seg` (1, H, W) uint8 and
            `confidence` (1, H, W) float32 of the first source, and for each
            source `SOURCE_mask` and `SOURCE_confidence`; with
            `pred_image_scores` (C, ) where the model classifies.
        """
        check_least(dict(batch_size=batch_size), batch_size=1)
        if isinstance(photos, (str, PathLike, np.ndarray)):
            photos = [photos]

        def load(photo):
            try:
                return photo, self.pipeline(photo)
            except (OSError, BrokenImageError) as error:
                if broken is None:
                    raise
                return photo, error

        def encode(photo):
            if tags is None:
                return None
            shown, names = tags(photo), self.model.dataset_meta['classes'][1:]
            where = 'array' if isinstance(photo, np.ndarray) else str(photo)
            for message, _ in unknown_tags({where: shown}, names):
                raise UserError(f'tags: {message}')
            return torch.tensor([float(name in shown) for name in names])

        loaded = ordered_map(load, photos, workers=2)
        size = 1 if self.tile else batch_size
        while chunk := list(islice(loaded, size)):
            batch, labels = [], []
            for photo, data in chunk:
                if isinstance(data, Exception):
                    broken(photo, data)
                    continue
                batch.append(data)
                labels.append(encode(photo))
            if batch:
                yield from self.forward(pseudo_collate(batch), labels)

    @torch.no_grad()
    def forward(self,
                inputs: dict,
                image_labels: Optional[Sequence[Optional[Tensor]]] = None,
                **kwargs) -> List[SegDataSample]:
        """Predict a batch from the pipeline; see :meth:`stream`."""
        labels = image_labels or [None] * len(inputs['inputs'])
        device = next(self.model.parameters()).device.type
        at_once = 2**24 if device == 'cuda' else 2**20  # pixels

        def predict(data: Dict[str, list]) -> List[SegDataSample]:
            """Predict photos of one size, a few at once if they are large."""
            step = max(at_once // data['inputs'][0][0].numel(), 1)
            out = []
            for i in range(0, len(data['inputs']), step):
                part = {key: one[i:i + step] for key, one in data.items()}
                out += self._predict(part)
            return out

        out = by_size(predict, dict(inputs, image_labels=labels))
        return [sample.cpu() for sample in out]

    def _predict(self, data: Dict[str, list]) -> List[SegDataSample]:
        photos = data['inputs']
        metas = [dict(sample.metainfo) for sample in data['data_samples']]
        batch = self.model.data_preprocessor(
            dict(inputs=photos, data_samples=data['data_samples']), False)
        inputs, samples = batch['inputs'], batch['data_samples']
        tags = [
            label if label is None else label.to(inputs.device)
            for label in data['image_labels']
        ]
        scores, (maps, ) = photo_maps(self.model, inputs, samples,
                                      [(self.sources, tags)], self._tta,
                                      self.tile)
        if self.refiner is not None:
            refine(maps, photos, metas, self.refiner, self.long_side)
        for i, sample in enumerate(samples):
            if scores is not None:
                sample.set_field(scores[i], 'pred_image_scores')
            size = sample.ori_shape[:2]
            for source in self.sources:
                mask, share = maps[i][source].resize_and_argmax(size)
                mask.masked_fill_(share < self.unsure, IGNORE_INDEX)
                if self.segments is not None:
                    snapped = self.segments(mask[0].cpu().numpy(),
                                            sample.get('img_path'))
                    mask = torch.from_numpy(snapped)[None]
                sample.set_field(PixelData(data=mask), f'{source}_mask')
                sample.set_field(PixelData(data=share), f'{source}_confidence')
            sample.pred_sem_seg = sample.get(f'{self.sources[0]}_mask')
            sample.confidence = sample.get(f'{self.sources[0]}_confidence')
        return samples


def tta_of(cfg: Config) -> TTA:
    """Read the test-time augmentation of a config."""
    model = cfg.get('tta_model') or {}
    if model.get('type') != 'MultiScaleMaxTTA' or 'tta_pipeline' not in cfg:
        raise UserError(
            'tta needs a config with a tta_pipeline and tta_model = '
            "dict(type='MultiScaleMaxTTA', scales=..., flip=...).")
    return TTA(**{k: model[k] for k in ('scales', 'flip') if k in model})
