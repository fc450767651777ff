# Copyright (c) mmseg_afa contributors. All rights reserved.
from types import SimpleNamespace
from unittest import mock

import cv2
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS, init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_afa.engine.hooks import PARRefinementHook
from mmseg_afa.models import PAR, DenseCRF, PseudoLabeler
from tests.test_tools.test_train_and_test import CONFIG, data_root

__all__ = ['data_root']


def tiny_runner(data_root, tmp_path, refine, tta=False):
    """A plain SegFormer on a dozen random images, four in a batch."""
    cfg = Config.fromfile(CONFIG)
    for part in ('train', 'val', 'test'):
        cfg[f'{part}_dataloader'].dataset.data_root = str(data_root)
    cfg.val_dataloader.batch_size = cfg.test_dataloader.batch_size = 4
    cfg.work_dir = str(tmp_path)
    # predictions of a random network that differ from pixel to pixel
    cfg.randomness = dict(seed=5)
    cfg.default_hooks.checkpoint.save_best = None
    cfg.experiment_name = f'{tmp_path.name}-{refine}-{tta}'
    cfg.custom_hooks = [
        dict(
            type='PARRefinementHook',
            refiner=dict(type='PAR', num_iter=2),
            refine_predictions=refine)
    ]
    if tta:
        cfg.model = dict(type='MultiScaleMaxTTA', module=cfg.model)
    runner = Runner.from_cfg(cfg)
    # an untrained head answers the same class everywhere
    model = runner.model.module if tta else runner.model
    nn.init.normal_(model.decode_head.conv_seg.weight, std=30)
    return runner


@pytest.mark.parametrize('part, refine, tta', [
    ('val', False, False),
    ('val', True, False),
    ('test', True, False),
    ('test', True, True),
])
def test_predictions(data_root, tmp_path, part, refine, tta):
    """Metrics of any segmentor see what PAR makes of the softmax, on the
    image in grey levels, if asked for."""
    runner = tiny_runner(data_root, tmp_path, refine, tta)
    if part == 'val':
        loop = runner._val_loop = runner.build_val_loop(runner._val_loop)
    else:
        loop = runner._test_loop = runner.build_test_loop(runner._test_loop)
    process = loop.evaluator.process
    with mock.patch.object(loop.evaluator, 'process', wraps=process) as spy:
        getattr(runner, part)()
    samples = sum((call.kwargs['data_samples'] for call in spy.mock_calls), [])
    assert len(samples) == 12
    same = changed = 0
    for sample in samples:
        image = torch.from_numpy(cv2.imread(sample.img_path))
        image = image.permute(2, 0, 1)[None].float() / 255
        prob = sample.seg_logits.data[None].softmax(1)
        pred = sample.pred_sem_seg.data
        same += (pred == PAR(num_iter=2)(image, prob).argmax(1)).float().mean()
        changed += (pred != prob.argmax(1)).sum()
    assert same > 0.999 * 12 if refine else changed == 0
    assert (changed > 0) == refine
    assert f'{part}_step' not in vars(runner.model)


class Stub(nn.Module):
    """Predicts what it was given, and notes padding as mmseg does."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def test_step(self, data):
        samples = []
        for logits, sample in zip(self.logits, data['data_samples']):
            samples.append(SegDataSample(metainfo=sample.metainfo))
            samples[-1].set_metainfo(dict(img_padding_size=(0, 99, 0, 99)))
            samples[-1].seg_logits = PixelData(data=logits)
        return samples


def test_images_of_several_sizes():
    """The refiner gets the batch at once, each photo as it was taken, beside
    the probabilities of two classes or more."""
    photos = [torch.rand(3, *size) for size in ((8, 12), (6, 5), (7, 7))]
    inputs = [
        photos[0].flip(-1),
        F.pad(photos[1], (1, 2, 3, 4)),
        F.interpolate(photos[2][None], (14, 14))[0]
    ]
    metas = [
        dict(flip=True, flip_direction='horizontal', ori_shape=(8, 12)),
        dict(padding_size=(1, 2, 3, 4), ori_shape=(6, 5)),
        dict(ori_shape=(7, 7))
    ]
    logits = [
        torch.randn(c, *photo.shape[1:]) for c, photo in zip((3, 4, 1), photos)
    ]
    logits[2] = logits[2].sigmoid()
    model = Stub(logits)
    hook = PARRefinementHook(refine_predictions=True)
    hook.refiner = mock.Mock()
    hook.refiner.refine_all = mock.Mock(
        side_effect=lambda images, masks: [1 - mask for mask in masks])
    runner = SimpleNamespace(model=model)
    hook.before_test(runner)
    out = model.test_step(
        dict(
            inputs=[image * 255 for image in inputs],
            data_samples=[SegDataSample(metainfo=meta) for meta in metas]))
    hook.after_test(runner)
    hook.refiner.refine_all.assert_called_once()
    images, masks = hook.refiner.refine_all.call_args.args
    for found, photo in zip(images, photos):
        torch.testing.assert_close(found, photo)
    expected = [
        logits[0].softmax(0), logits[1].softmax(0),
        torch.cat([1 - logits[2], logits[2]])
    ]
    for sample, own, mask, prob in zip(out, logits, masks, expected):
        torch.testing.assert_close(mask, prob)
        assert torch.equal(sample.pred_sem_seg.data, prob.argmin(0, True))
        assert sample.seg_logits.data is own


def test_dense_crf(data_root, tmp_path):
    """Its workers refine a batch."""
    pytest.importorskip('pydensecrf')
    runner = tiny_runner(data_root, tmp_path, True)
    hook, = [h for h in runner.hooks if isinstance(h, PARRefinementHook)]
    hook.refiner = DenseCRF(num_workers=2)
    scores = runner.test()
    assert 0 <= scores['mIoU'] <= 100


def test_nothing_to_do(data_root, tmp_path):
    runner = tiny_runner(data_root, tmp_path, False)
    with pytest.raises(
            TypeError,
            match='EncoderDecoder makes no pseudo label'
            '.*refine_predictions=True'):
        runner.train()


class Wrapper(nn.Module):
    """As a distributed wrapper holds a model."""

    def __init__(self, module):
        super().__init__()
        self.module = module


@pytest.fixture
def wrapper(monkeypatch):
    monkeypatch.setitem(MODEL_WRAPPERS._module_dict, 'Wrapper', Wrapper)
    return Wrapper


@pytest.mark.parametrize('has, refine_predictions, tested, trained', [
    (None, False, 15, 15),
    (None, True, None, 15),
    (10, False, 15, 15),
    (10, True, 10, 10),
])
def test_refiner_of_the_labeler(wrapper, has, refine_predictions, tested,
                                trained):
    """Old configs, whose hook brings the refiner, train as before; to refine
    what is predicted does not change the pseudo labels that are scored."""
    model = nn.Module()
    model.labeler = PseudoLabeler(refiner=has and PAR(num_iter=has))
    hook = PARRefinementHook(dict(type='PAR', num_iter=15), refine_predictions)
    runner = SimpleNamespace(model=wrapper(model))
    hook.before_run(runner)
    assert getattr(model.labeler.refiner, 'num_iter', None) == tested
    hook.before_train(runner)
    assert model.labeler.refiner.num_iter == trained


@pytest.mark.parametrize('distributed', [False, True])
def test_not_with_mmseg_augmentation(wrapper, distributed):
    """Also in distributed testing, where the model is wrapped."""
    init_default_scope('mmseg')
    tiny = Config.fromfile(CONFIG)
    model = MODELS.build(dict(type='SegTTAModel', module=tiny.model))
    runner = SimpleNamespace(model=wrapper(model) if distributed else model)
    hook = PARRefinementHook(refine_predictions=True)
    hook.before_run(runner)
    with pytest.raises(
            TypeError, match='SegTTAModel, .*MultiScaleMaxTTA.*--tta'):
        hook.before_test(runner)
