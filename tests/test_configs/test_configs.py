# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Build, train for a step and evaluate every config that ships.

tests/test_gpu_ready.py runs the losses of each phase.
"""
from pathlib import Path

import mmpretrain
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.logging import MessageHub
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmpretrain.models import VisionTransformer
from mmseg.registry import HOOKS, MODELS, TRANSFORMS
from mmseg.structures import SegDataSample

from mmseg_afa.engine.classes import all_datasets
from tests.test_reference.reference import ROOT
from .configs import CONFIGS, MetaWeights, build_shallow, load

VIT = [
    'afa_deit-base_voc', 'afa_vit-base_voc', 'afa_dinov2-base_voc',
    'afa_deit-small_own-data', 'afa_dinov2-small_own-data'
]


def batch(num_classes):
    sample = SegDataSample(metainfo=dict(img_box=(4, 60, 0, 64)))
    label = torch.zeros(num_classes - 1)
    label[0] = 1
    sample.set_field(label, 'image_label')
    mask = torch.randint(0, num_classes, (1, 64, 64))
    sample.gt_sem_seg = PixelData(data=mask)
    return torch.randn(2, 3, 64, 64), [sample, sample.clone()]


def evaluate(model, cfg):
    """Scores of a validation on one image."""
    sample = SegDataSample(
        metainfo=dict(img_shape=(40, 56), ori_shape=(40, 56)))
    sample.set_field(torch.ones(model.num_classes - 1), 'image_label')
    mask = torch.randint(0, model.num_classes, (1, 40, 56))
    sample.gt_sem_seg = PixelData(data=mask)
    image = torch.randint(0, 256, (3, 40, 56), dtype=torch.uint8)
    data = dict(inputs=[image], data_samples=[sample])
    evaluator = Evaluator(cfg.val_evaluator)
    names = [str(i) for i in range(model.num_classes)]
    evaluator.dataset_meta = dict(classes=names, label_map={})
    with torch.no_grad():
        evaluator.process(model.eval().val_step(data), data)
    return evaluator.evaluate(1)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_config(path):
    cfg = load(path)
    model = revert_sync_batchnorm(build_shallow(cfg)).train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    # the last phase computes what the others do
    hub = MessageHub.get_instance(f'test_config_{path.stem}')
    hub.update_info('iter', cfg.train_cfg.max_iters - 1)
    losses = model.loss(*batch(model.num_classes))
    loss, _ = model.parse_losses(losses)
    assert torch.isfinite(loss)
    wrapper.update_params(loss)

    for _, dataset in all_datasets(cfg):
        for transform in dataset.get('pipeline', []):
            TRANSFORMS.build(transform)
    if cfg.val_evaluator:
        score = cfg.default_hooks.checkpoint.get('save_best', 'mIoU')
        scores = evaluate(model, cfg)
        assert 0 <= scores[score or 'image_label/mAP'] <= 100
    for hook in cfg.get('custom_hooks', []):
        HOOKS.build(hook)


@pytest.mark.parametrize('arch', ['b0', 'b1', 'b2', 'b3', 'b4', 'b5'])
def test_voc_configs(arch):
    """The published schedule."""
    cfg = load(ROOT / f'configs/afa/afa_mit-{arch}_voc.py')
    assert cfg.model.backbone.arch == arch
    assert cfg.train_cfg.max_iters == 20000
    assert cfg.model.train_cfg.cam_iters == 2000
    assert cfg.model.train_cfg.switch_iter == 6000
    assert cfg.model.train_cfg.affinity_label_from == 'cam'
    assert cfg.train_dataloader.batch_size == 4
    assert cfg.model.labeler.refiner.num_iter == 10


def test_coco_config():
    cfg = load(ROOT / 'configs/afa/afa_mit-b1_coco.py')
    assert cfg.train_cfg.max_iters == 80000
    assert cfg.param_scheduler[1].start_factor == 1 - 1500 / 80000
    assert cfg.param_scheduler[1].end == 80001
    assert cfg.model.train_cfg.cam_iters == 5000
    assert cfg.model.train_cfg.switch_iter == 15000
    assert cfg.model.train_cfg.affinity_label_from == 'seg'
    assert cfg.train_dataloader.batch_size == 8
    assert cfg.model.labeler.refiner.num_iter == 15
    assert 'seg_map_path' not in cfg.train_dataloader.dataset.data_prefix


def settings_by_name(name):
    """Return the model of a config, and (lr, decay) of each parameter."""
    cfg = load(ROOT / name)
    with MetaWeights():
        model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    settings = {
        id(p): (group['lr'], group['weight_decay'])
        for group in wrapper.param_groups
        for p in group['params']
    }
    return model, {n: settings[id(p)] for n, p in model.named_parameters()}


@pytest.mark.parametrize(
    'name',
    ['afa/afa_mit-b0_voc', 'mix/afa_deit-base_voc', 'mix/afa_dinov2-base_voc'])
def test_norms_are_frozen_and_heads_learn_faster(name):
    """The class token and the position embedding do not decay."""
    model, settings = settings_by_name(f'configs/{name}.py')
    norms = {
        f'backbone.{n}.{p}'
        for n, m in model.backbone.named_modules()
        if isinstance(m, torch.nn.LayerNorm) for p in ('weight', 'bias')
    }
    assert norms < set(settings)
    for name, found in settings.items():
        if name in norms:
            expected = (0, 0)
        elif name in ('backbone.cls_token', 'backbone.pos_embed'):
            expected = (6e-5, 0)
        elif name.startswith('backbone.'):
            expected = (6e-5, 0.01)
        else:
            expected = (pytest.approx(6e-4), 0.01)
        assert found == expected, name


@pytest.mark.parametrize('name', [
    'segformer_mit-b1_pseudo-labels_voc', 'deeplabv3plus_r50_pseudo-labels_voc'
])
def test_second_stage_configs(name):
    """Train on what tools/predict.py wrote, validate on drawn masks."""
    cfg = load(ROOT / f'configs/afa/{name}.py')
    assert cfg.train_dataloader.batch_size == 16
    train = cfg.train_dataloader.dataset
    assert train.ann_file == 'ImageSets/Segmentation/trainaug.txt'
    assert train.data_prefix.seg_map_path == 'pseudo_labels/refined_label'
    val = cfg.val_dataloader.dataset
    assert val.data_prefix.seg_map_path.startswith('SegmentationClass')
    assert train.data_root == val.data_root


@pytest.mark.parametrize('path', CONFIGS, ids=lambda p: p.stem)
def test_weights_by_address(path):
    """A training needs no file that a user has to download."""
    backbone = load(path, keep_weights=True).model.backbone
    weights = (backbone.get('init_cfg') or {}).get('checkpoint')
    if backbone.type == 'AttnMixVisionTransformer' and 'demo' not in path.stem:
        name = f'mit_{backbone.arch}_20220624-'
        assert weights.startswith('https://download.openmmlab.com/mmseg')
        assert weights.rpartition('/')[2].startswith(name)
    assert weights is None or '://' in weights


@pytest.mark.parametrize('name', VIT)
def test_vits_are_those_of_their_weights(name):
    """The backbone and the normalisation of mmpretrain's config for the
    checkpoint that a config names."""
    cfg = load(ROOT / f'configs/mix/{name}.py', keep_weights=True)
    ours, shipped = cfg.model.backbone, Path(mmpretrain.__file__).parent
    assert ours.init_cfg.prefix == 'backbone.'
    theirs, = (
        Config.fromfile(shipped / '.mim' / model['Config'])
        for path in shipped.glob('.mim/configs/*/metafile.yml')
        for model in yaml.safe_load(path.read_text())['Models']
        if model.get('Weights') == ours.init_cfg.checkpoint)
    backbone = theirs.model.backbone
    arch = VisionTransformer.arch_zoo
    assert arch[ours.arch] == arch[backbone.arch]
    for key in ('patch_size', 'pre_norm', 'layer_scale_init_value'):
        assert ours.get(key) == backbone.get(key), key
    normalisation = cfg.model.data_preprocessor
    for key in ('mean', 'std'):
        assert normalisation[key] == theirs.data_preprocessor[key]
    num_heads = arch[ours.arch]['num_heads']
    assert cfg.model.affinity_head.in_channels == num_heads * len(
        ours.attn_blocks)


def test_scoped_base():
    """Other projects inherit the configs by package name."""
    path = 'mmseg_afa::afa/afa_mit-b1_voc.py'
    cfg = Config.fromstring(f'_base_ = [{path!r}]', '.py')
    assert cfg.model.type == 'AFA' and cfg.model.backbone.arch == 'b1'
    init_default_scope('mmseg')
    assert cfg.model['_scope_'] == 'mmseg_afa'
    assert MODELS.build(cfg.model).labeler.refiner.num_iter == 10
