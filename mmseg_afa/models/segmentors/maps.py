# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Predict: network, score maps of the sources, refiner, class and confidence.

This is the only path from photos to masks. Evaluation, test-time augmentation,
the refinement hook and the inferencer call it.
"""
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmseg.utils import OptSampleList, SampleList
from torch import Tensor, nn

from ..pseudo_labels.labeler import empty_regions
from ..utils import by_size, resize, unpad
from .logits import TTA, seg_logits, slides
from .score_maps import ScoreMaps, restrict_to_tags

LONG_SIDE = 1024  # pixels: refiners work at most at this size


class Source(NamedTuple):
    """Describe a source of label maps.

    `needs_tags`: the source is a training label, which is always made with
    the image label, and which the model's own refiner has refined.
    """
    name: str
    title: str
    needs_tags: bool


SOURCES = {
    source.name: source
    for source in (
        Source('seg', 'segmentation', False),
        Source('cam', 'CAM', False),
        Source('affinity_cam', 'affinity CAM', False),
        Source('cam_label', 'CAM label', True),
        Source('refined_label', 'refined label', True),
    )
}


class Field(NamedTuple):
    """Describe a label map of a sample: its source, and the tags it knew.

    `tags` is 'none', 'predicted' or 'given'. Only without given tags a label
    map is scored as a segmentation. With given tags it measures pseudo labels.
    """
    source: Source
    tags: str

    @property
    def title(self) -> str:
        """Name the field in a report."""
        return f'{self.source.title}, tags {self.tags}'


# the label maps of a sample by name; evaluation scores those that are there
FIELDS = {
    'pred_sem_seg': Field(SOURCES['seg'], 'none'),
    'cam_predicted_tags': Field(SOURCES['cam'], 'predicted'),
    'affinity_cam_predicted_tags': Field(SOURCES['affinity_cam'], 'predicted'),
    'cam_given_tags': Field(SOURCES['cam'], 'given'),
    'affinity_cam_given_tags': Field(SOURCES['affinity_cam'], 'given'),
    'cam_label_given_tags': Field(SOURCES['cam_label'], 'given'),
    'refined_label_given_tags': Field(SOURCES['refined_label'], 'given'),
}

Tags = Sequence[Optional[Tensor]]  # (C, ) of each image; None: not known
Request = Tuple[Sequence[str], Tags]  # sources, and the tags that they know
PhotoMaps = List[Dict[str, ScoreMaps]]  # of each photo, scores by source


def fill_in(tags: Tags, default: Tensor) -> Tensor:
    """Stack tags to an image label (B, C); unknown ones are the default's."""
    return torch.stack([
        other if label is None else label
        for label, other in zip(tags, default)
    ])


def limit(size: Sequence[int], long_side: int) -> Tuple[int, int]:
    """Shrink a height and a width to a long side, if they are larger."""
    factor = min(long_side / max(size), 1)
    return tuple(max(round(n * factor), 1) for n in size)


def photo_maps(
        model: nn.Module,
        inputs: Tensor,
        samples: SampleList,
        requests: Sequence[Request],
        tta: Optional[TTA] = None,
        tile: Optional[int] = None
) -> Tuple[Optional[Tensor], List[PhotoMaps]]:
    """Run the network, and compute the scores of the requested sources.

    Without tags every class may win the segmentation, and the predicted
    classes every other source.

    Args:
        model (nn.Module): An EncoderDecoder. A model with sources besides
            'seg' has the methods of :class:`AFA`: `features`, `image_scores`
            and `score_maps`.
        inputs (Tensor): (B, 3, H, W), normalised.
        samples (list[SegDataSample]): Their samples.
        requests (Sequence[tuple]): Sources, and the tags of each image.
        tta (TTA, optional): Test-time augmentation of the segmentation.
        tile (int, optional): Side of the tiles of the segmentation.

    Returns:
        tuple: Probabilities (B, C) of the classes, None for a model without a
        classifier; and for each request and photo the scores by source.
    """
    wanted = {source for sources, _ in requests for source in sources}
    features = scores = None
    if tile:  # maps of the input's size, from which to cut, are too large
        inputs = unpad(inputs, samples[0].metainfo)
    if hasattr(model, 'score_maps'):
        whole = inputs
        if wanted <= {'seg'} and (tile or slides(model)):
            # for photos that may be too large for one pass
            whole = resize(inputs, limit(inputs.shape[-2:], LONG_SIDE))
        features = model.features(whole, 'affinity_cam' in wanted)
        scores = model.image_scores(features)
    found = [{} for _ in requests]
    labeler = getattr(model, 'labeler', None)
    background = getattr(labeler, 'background', True)
    if 'seg' in wanted:
        logits = seg_logits(model, inputs, features, tta, tile)
        every = torch.ones_like(logits[:, 1:, 0, 0])
        for maps, (sources, tags) in zip(found, requests):
            if 'seg' in sources:
                maps['seg'] = restrict_to_tags(logits, fill_in(tags, every),
                                               background)
    if wanted - {'seg'}:
        predicted = (scores > 0.5).float()
        labels = [(sources, fill_in(tags, predicted))
                  for sources, tags in requests]
        for maps, more in zip(found, model.score_maps(inputs, features,
                                                      labels)):
            maps.update(more)

    empty = [None] * len(samples)
    threshold = getattr(labeler, 'empty_above', None)
    if threshold is not None:
        empty = empty_regions(model.images(inputs), threshold).float()
        empty = [
            x if tile else unpad(x, sample.metainfo)
            for x, sample in zip(empty[:, None, None], samples)
        ]

    def on_photo(maps: ScoreMaps, i: int) -> ScoreMaps:
        maps = maps.single(i)._replace(empty=empty[i])
        if not tile:
            shown = resize(maps.scores, inputs.shape[-2:])
            maps = maps._replace(scores=unpad(shown, samples[i].metainfo))
        return maps

    return scores, [[{
        source: on_photo(batch, i)
        for source, batch in maps.items()
    } for i in range(len(samples))] for maps in found]


def refine(maps: PhotoMaps,
           photos: Sequence[Tensor],
           metas: Sequence[dict],
           refiner: nn.Module,
           long_side: int = LONG_SIDE) -> None:
    """Refine the scores of photos in place, except those of labels.

    Args:
        maps (Sequence[dict[str, ScoreMaps]]): Scores of each photo by source.
        photos (Sequence[Tensor]): (3, H, W) each, grey levels, as the test
            pipeline leaves them. Refiners treat all channels alike.
        metas (Sequence[dict]): What the pipeline noted; the data preprocessor
            may add padding, which the photos do not have.
        refiner (nn.Module): PAR or DenseCRF. It works at the photo's size, or
            at a long side of `long_side` if that is less. If it has a method
            `refine_all`, the method gets all photos at once.
        long_side (int): In pixels.
    """
    for source in list(maps[0]):
        if SOURCES[source].needs_tags:
            continue
        images, shares = [], []
        for one, photo, meta in zip(maps, photos, metas):
            size = limit(meta['ori_shape'][:2], long_side)
            coarse = one.pop(source)  # may be large: kept once
            coarse = coarse._replace(scores=resize(coarse.scores, size))
            shares.append(coarse.normalized())
            image = unpad(photo[None].to(coarse.scores) / 255, meta)
            images.append(resize(image, size)[0])
        masks = [share.scores[0] for share in shares]
        if hasattr(refiner, 'refine_all'):
            refined = refiner.refine_all(images, masks)
        else:  # it needs batches of one size
            refined = [
                refiner(image[None], mask[None])[0]
                for image, mask in zip(images, masks)
            ]
        for one, share, scores in zip(maps, shares, refined):
            one[source] = share._replace(scores=scores[None])


def predict(model: nn.Module,
            inputs: Tensor,
            data_samples: OptSampleList = None,
            photos: Sequence[Tensor] = (),
            photo_metas: Sequence[dict] = (),
            tta: Optional[TTA] = None,
            refiner: Optional[nn.Module] = None) -> SampleList:
    """Predict a batch for evaluation.

    Args:
        model (nn.Module): An EncoderDecoder. `test_cfg.sources` names the
            sources; by default the segmentation alone.
        inputs (Tensor): (B, 3, H, W), normalised.
        data_samples (list[SegDataSample], optional): Their samples.
        photos, photo_metas, refiner: See :func:`refine`.
        tta (TTA, optional): Test-time augmentation of the segmentation.

    Returns:
        list[SegDataSample]: At the photo's size `pred_sem_seg` and
        `seg_logits`, which no refiner changes, and the other :data:`FIELDS`
        of the sources. A model with a classifier adds `pred_image_scores`
        (C, ) probabilities; the source 'cam' adds `cam` (C, H, W) in [0, 1).
    """
    if data_samples is None:
        size = tuple(inputs.shape[-2:])
        meta = dict(img_shape=size, ori_shape=size)
        data_samples = [SegDataSample(metainfo=meta) for _ in inputs]
    others = [
        source for source in model.test_cfg.get('sources') or ()
        if source != 'seg' and source in model.sources
    ]
    free = [source for source in others if not SOURCES[source].needs_tags]
    unknown = [None] * len(inputs)
    given = [sample.get('image_label') for sample in data_samples]
    requests = dict(none=(['seg'], unknown))
    if free:
        requests['predicted'] = free, unknown
    if others and any(label is not None for label in given):
        requests['given'] = others, given
    if 'cam' in free:
        num_classes = model.decode_head.num_classes - 1
        requests['every'] = ['cam'], list(
            inputs.new_ones(len(inputs), num_classes))
    scores, found = photo_maps(model, inputs, data_samples,
                               list(requests.values()), tta)
    found = dict(zip(requests, found))
    sizes = [
        sample.metainfo.get('ori_shape', inputs.shape[-2:])[:2]
        for sample in data_samples
    ]
    for sample, maps, size in zip(data_samples, found['none'], sizes):
        logits = resize(maps['seg'].scores, size)[0]
        sample.seg_logits = PixelData(data=logits)
    if refiner is not None:
        for name in found.keys() - {'every'}:
            refine(found[name], photos, photo_metas, refiner)
    for i, sample in enumerate(data_samples):
        if scores is not None:
            sample.set_field(scores[i], 'pred_image_scores')
        if 'every' in found:
            cam = found['every'][i]['cam'].scores[:, 1:]
            sample.cam = PixelData(data=resize(cam, sizes[i])[0])
        for name, field in FIELDS.items():
            if field.tags not in found or (field.tags == 'given'
                                           and given[i] is None):
                continue
            maps = found[field.tags][i].get(field.source.name)
            if maps is not None:
                mask, _ = maps.resize_and_argmax(sizes[i])
                sample.set_field(PixelData(data=mask.long()), name)
    return data_samples


@torch.no_grad()
def predict_step(model: nn.Module, data: dict, **options) -> SampleList:
    """Predict a batch from the loader, whose images may differ in size.

    Args:
        model (nn.Module): See :func:`predict`.
        data (dict): 'inputs', images (3, H, W) in BGR grey levels, and their
            'data_samples'.
        options: `tta` and `refiner` of :func:`predict`.
    """

    def step(part: dict) -> SampleList:
        # The preprocessor may pad: noted in the samples, not in the photos.
        metas = [dict(sample.metainfo) for sample in part['data_samples']]
        photos = part['inputs']
        part = model.data_preprocessor(part, False)
        return predict(
            model,
            part['inputs'],
            part['data_samples'],
            photos=photos,
            photo_metas=metas,
            **options)

    return by_size(step, data)
