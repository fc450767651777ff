# Copyright (c) mmseg_afa contributors. All rights reserved.
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import save_checkpoint
from mmseg.apis import MMSegInferencer, inference_model, init_model

from mmseg_afa.apis import AFAInferencer
from mmseg_afa.datasets.transforms.load_image import BrokenImageError
from mmseg_afa.models import SOURCES
from mmseg_afa.utils import CheckpointError, UserError
from tests.conftest import CLASSES, DEMO, PALETTE


@pytest.fixture(scope='module')
def infer(checkpoint):
    return AFAInferencer(str(DEMO), checkpoint, device='cpu', sources=SOURCES)


def paths(photos):
    return sorted(str(p) for p in photos.rglob('*.*'))


def mask_of(sample, source='seg'):
    return sample.get(f'{source}_mask').data[0].numpy()


def test_same_as_mmseg(infer, checkpoint, photos):
    """Paths and arrays, alone and in batches, of several sizes."""
    model = init_model(str(DEMO), checkpoint, device='cpu')
    found = list(infer.stream(paths(photos), batch_size=3))
    assert len(found) == 4
    for sample, path in zip(found, paths(photos)):
        assert sample.img_path == path
        expected = inference_model(model, path)
        label = expected.pred_sem_seg.data[0].numpy()
        assert len(np.unique(label)) > 1
        assert (mask_of(sample) == label).mean() > 0.9999
        prob = expected.seg_logits.data.softmax(0).amax(0)
        torch.testing.assert_close(sample.confidence.data[0], prob)
        same, = infer.stream(cv2.imread(path))
        assert (mask_of(same) == mask_of(sample)).mean() > 0.9999
        torch.testing.assert_close(sample.pred_image_scores,
                                   expected.pred_image_scores)
        for source in ('cam', 'affinity_cam'):
            label = expected.get(f'{source}_predicted_tags').data[0].numpy()
            assert (mask_of(sample, source) == label).mean() > 0.9999


def test_conventions_of_mmseg(infer, checkpoint, photos, tmp_path):
    mmseg = MMSegInferencer(str(DEMO), checkpoint, device='cpu')
    expected = mmseg(paths(photos))['predictions']
    out = infer(paths(photos), batch_size=2, out_dir=str(tmp_path))
    for a, b in zip(out['predictions'], expected):
        assert (a == b).mean() > 0.9999
    assert len(list((tmp_path / 'vis').iterdir())) == 4
    sample = infer(paths(photos)[0], return_datasamples=True)
    assert sample.pred_sem_seg.shape == (48, 80)


def test_checkpoint_of_a_training(checkpoint, photos, tmp_path):
    """A data set's metainfo has more than classes and colours."""
    weights = torch.load(checkpoint, weights_only=True)
    weights['meta']['dataset_meta'].update(
        label_map=None, reduce_zero_label=False)
    path = str(tmp_path / 'iter_1.pth')
    save_checkpoint(weights, path)
    infer = AFAInferencer(str(DEMO), path, device='cpu')
    infer(paths(photos)[0], out_dir=str(tmp_path))
    assert len(list((tmp_path / 'pred').iterdir())) == 1


def test_only_among_tags(infer, photos):
    tags = dict(zip(paths(photos), (['b'], [], ['a', 'e'], ['c'])))
    for sample in infer.stream(paths(photos), tags.get):
        allowed = {0, 255
                   } | {CLASSES.index(name)
                        for name in tags[sample.img_path]}
        for source in SOURCES:
            assert set(np.unique(mask_of(sample, source))) <= allowed


def test_frames_without_end(infer):
    """Of a generator no more is taken than is needed."""

    def frames():
        while True:
            yield np.zeros((32, 32, 3), np.uint8)

    samples = infer.stream(frames(), batch_size=2)
    for _ in range(3):
        assert next(samples).pred_sem_seg.shape == (32, 32)
    samples.close()


def test_broken_photos(infer, photos, tmp_path):
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'no photo')
    mixed = [paths(photos)[0], str(broken), paths(photos)[1]]
    with pytest.raises(BrokenImageError, match='broken.jpg'):
        list(infer.stream(mixed))
    skipped = []
    found = list(infer.stream(mixed, broken=lambda *a: skipped.append(a[0])))
    assert [s.img_path for s in found] == [mixed[0], mixed[2]]
    assert skipped == [str(broken)]


def test_unsure_pixels(checkpoint, photos):
    infer = AFAInferencer(str(DEMO), checkpoint, device='cpu', unsure=0.6)
    for sample in infer.stream(paths(photos)):
        unsure = sample.confidence.data[0].numpy() < 0.6
        assert unsure.any() and not unsure.all()
        assert ((mask_of(sample) == 255) == unsure).all()


def test_unsure_in_percent(checkpoint):
    with pytest.raises(UserError, match='found 60, expected .* from 0 to 1'):
        AFAInferencer(str(DEMO), checkpoint, device='cpu', unsure=60)


def test_small_long_side_with_everything(checkpoint, photos):
    infer = AFAInferencer(
        str(DEMO),
        checkpoint,
        device='cpu',
        refiner=dict(type='PAR', num_iter=2),
        long_side=40,
        tta=True)
    for sample in infer.stream(paths(photos)):
        assert mask_of(sample).shape == sample.ori_shape
        share = sample.confidence.data
        assert 0 <= share.min() and share.max() <= 1


def test_tiles_of_a_large_photo(checkpoint):
    """A photo of one tile is predicted as it is without."""
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (9, 11, 3), np.uint8)
    photo = cv2.resize(small, (421, 333))
    plain, one, many = (
        next(
            AFAInferencer(str(DEMO), checkpoint, device='cpu',
                          tile=tile).stream(photo))
        for tile in (None, 512, 192))
    assert (mask_of(one) == mask_of(plain)).all()
    assert mask_of(many).shape == (333, 421)
    assert torch.isfinite(many.confidence.data).all()


def test_names_of_configs():
    with pytest.raises(ValueError, match='afa_mit-b9_voc: no such.*b1_voc'):
        AFAInferencer('afa_mit-b9_voc', 'x.pth')


def test_no_affinity_without_the_head(checkpoint):
    cfg = Config.fromfile(DEMO)
    cfg.model.affinity_head = None
    infer = AFAInferencer(cfg, checkpoint, device='cpu', sources=['cam_label'])
    sample, = infer.stream(np.zeros((32, 48, 3), np.uint8))
    assert sample.pred_sem_seg.shape == (32, 48)
    with pytest.raises(ValueError, match='AFA has seg, cam, cam_label'):
        AFAInferencer(cfg, checkpoint, sources=['affinity_cam'])


def test_checkpoint_that_does_not_fit(checkpoint, tmp_path):
    weights = torch.load(checkpoint, weights_only=True)
    del weights['state_dict']['decode_head.fusion_conv.conv.weight']
    path = str(tmp_path / 'part.pth')
    save_checkpoint(weights, path)
    with pytest.raises(CheckpointError, match='has no decode_head.fusion_co'):
        AFAInferencer(str(DEMO), path, device='cpu')


def test_classes_of_the_config(checkpoint, tmp_path):
    """Converted checkpoints know no classes."""
    weights = torch.load(checkpoint, weights_only=True)
    path = str(tmp_path / 'bare.pth')
    save_checkpoint(dict(state_dict=weights['state_dict']), path)
    cfg = Config.fromfile(DEMO)
    with pytest.raises(ValueError, match='test_dataloader.dataset'):
        AFAInferencer(cfg, path, device='cpu')
    cfg.test_dataloader.dataset.metainfo = dict(classes=CLASSES)
    infer = AFAInferencer(cfg, path, device='cpu')
    assert infer.model.dataset_meta['classes'] == CLASSES
    assert infer.model.dataset_meta['palette'][1] == [128, 0, 0]


def test_other_models(tmp_path, photos):
    """A plain mmseg model with mmseg's own pipeline has a segmentation."""
    file = Path(__file__).parents[1] / 'test_tools' / 'tiny_config.py'
    cfg = Config.fromfile(file)
    cfg.model.data_preprocessor.pop('size')
    cfg.test_pipeline = cfg.test_dataloader.dataset.pipeline
    torch.manual_seed(0)
    model = init_model(cfg, device='cpu')
    path = str(tmp_path / 'plain.pth')
    meta = dict(classes=('ground', 'thing', 'other'), palette=PALETTE[:3])
    save_checkpoint(
        dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)),
        path)
    infer = AFAInferencer(str(file), path, device='cpu')
    model = init_model(cfg, path, device='cpu')
    for sample in infer.stream(paths(photos)):
        expected = inference_model(model, sample.img_path)
        label = expected.pred_sem_seg.data[0].numpy()
        assert (mask_of(sample) == label).mean() > 0.99
        assert 'pred_image_scores' not in sample
    with pytest.raises(ValueError, match='EncoderDecoder has seg'):
        AFAInferencer(str(file), path, device='cpu', sources=['cam'])


def test_unknown_tags(infer, photos):
    path = paths(photos)[0]
    message = "tags: unknown tag 'B': did you mean 'b'.*a.jpg"
    with pytest.raises(UserError, match=message):
        next(infer.stream(path, lambda photo: ['a', 'B']))
    with pytest.raises(UserError, match="'zebra': the classes are a, b, c"):
        next(infer.stream(cv2.imread(path), lambda photo: ['zebra']))


def test_arrays_of_other_kinds(infer, photos):
    colour = cv2.imread(paths(photos)[0])
    transparent = cv2.cvtColor(colour, cv2.COLOR_BGR2BGRA)
    expected, same = infer.stream([colour, transparent])
    assert (mask_of(expected) == mask_of(same)).all()
    grey, = infer.stream(colour[..., 0])
    assert mask_of(grey).shape == (48, 80)
    with pytest.raises(BrokenImageError, match='array of float64 .*expected'):
        next(infer.stream(colour / 255))


@pytest.mark.parametrize('option', [
    dict(long_side=0),
    dict(tile=0),
    dict(tile=-512),
    dict(long_side=float('nan')),
])
def test_numbers_out_of_range(checkpoint, option):
    name, = option
    with pytest.raises(
            UserError, match=f'{name}: found .*expected 1(32)? or more'):
        AFAInferencer(str(DEMO), checkpoint, device='cpu', **option)


def test_batch_size_out_of_range(infer, photos):
    with pytest.raises(UserError, match='batch_size: found 0, expected 1'):
        next(infer.stream(paths(photos), batch_size=0))


@pytest.mark.parametrize('tta', [False, True])
@pytest.mark.parametrize('resize', [
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='ResizeShortestEdge', scale=48, max_size=64),
])
def test_sizes_replace_the_resize_of_the_pipeline(checkpoint, tta, resize):
    cfg = Config.fromfile(DEMO)
    load, *rest = cfg.tta_pipeline
    cfg.tta_pipeline = cfg.test_dataloader.dataset.pipeline = [
        load, resize, *rest
    ]
    photo = np.zeros((300, 400, 3), np.uint8)
    sizes = [({}, (48, 64)), (dict(long_side=200), (150, 200)),
             (dict(tile=192), (300, 400))]
    for options, size in sizes:
        infer = AFAInferencer(
            cfg, checkpoint, device='cpu', tta=tta, **options)
        assert infer.pipeline(photo)['inputs'].shape[1:] == size
