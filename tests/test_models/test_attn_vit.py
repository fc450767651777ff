# Copyright (c) mmseg_afa contributors. All rights reserved.
import math
import sys
from pathlib import Path

import mmpretrain
import pytest
import torch
from mmengine.config import Config
from mmpretrain.models import MAEViT, VisionTransformer

from mmseg_afa.models import backbones
from mmseg_afa.models.backbones.attn_vit import AttnVisionTransformer
from mmseg_afa.models.segmentors import afa
from mmseg_afa.utils import CheckpointError, UserError
from tests.test_models.test_afa import batch, build
from tests.test_reference import reference as ref

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
SHIPPED = Path(mmpretrain.__file__).parent / '.mim/configs'
PUBLISHED = dict(
    deit='deit/deit-base_16xb64_in1k.py',
    dinov2='dinov2/vit-base-p14_dinov2-pre_headless.py',
    clip='clip/vit-base-p16_pt-64xb64_in1k.py',
    mae='vision_transformer/vit-base-p16_32xb128-mae_in1k.py')


def scatter(model):
    """Draw weights, different ones for all parameters and tokens."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.eval()  # mmpretrain's returns nothing
    return model


def small(**kwargs):
    cfg = dict(arch=ARCH, img_size=32, patch_size=8)
    return scatter(AttnVisionTransformer(**{**cfg, **kwargs}))


def published(name):
    """Read the settings of mmpretrain's backbone; take fewer blocks."""
    backbone = Config.fromfile(SHIPPED / PUBLISHED[name]).model.backbone
    cfg = dict(backbone, arch=ARCH, init_cfg=None)
    cfg.pop('type')
    cfg.pop('out_type', None)
    return cfg


@pytest.mark.parametrize('name', PUBLISHED)
def test_same_as_mmpretrain(name, size=(70, 113)):
    """All of mmpretrain's weights load and give the same features."""
    theirs = scatter(
        VisionTransformer(
            **published(name), out_type='featmap', out_indices=[1, 3]))
    ours = scatter(
        AttnVisionTransformer(**published(name), out_indices=(-1, 1)))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        last, second = ours(images)
        feats, _ = ours(images, with_attention=True)
        expected = theirs(images)
    side = published(name)['patch_size']
    assert last.shape == (2, 32, *(math.ceil(n / side) for n in size))
    ref.assert_close(second, expected[0], rtol=1e-5)
    ref.assert_close(last, expected[1], rtol=1e-5)
    assert torch.equal(feats[0], last) and torch.equal(feats[1], second)


def test_weights_of_masked_pretraining(tmp_path):
    """Load MAE's checkpoint of another image size, by its prefix."""
    theirs = scatter(MAEViT(arch=ARCH, img_size=64, patch_size=8))
    weights = {f'backbone.{k}': v for k, v in theirs.state_dict().items()}
    path = str(tmp_path / 'mae.pth')
    torch.save(
        dict(state_dict={
            **weights, 'neck.mask_token': torch.zeros(1)
        }), path)
    ours = small(
        init_cfg=dict(type='Pretrained', checkpoint=path, prefix='backbone.'))
    ours.init_weights()
    for name, value in ours.state_dict().items():
        if name != 'pos_embed':  # which mmpretrain resizes
            assert torch.equal(value, weights[f'backbone.{name}']), name


@pytest.mark.parametrize('ours, theirs, prefix, problem', [
    (dict(layer_scale_init_value=1e-5), {}, 'backbone', 'file has no lay'),
    ({}, dict(layer_scale_init_value=1e-5), 'backbone.', 'bone has no lay'),
    ({}, dict(patch_size=4), 'backbone.', 'mismatch for patch_embed.projec'),
    ({}, {}, 'encoder.', 'no cls_token. .* is backbone.cls_token.* prefix'),
    ({}, {}, None, 'no cls_token. .* is backbone.cls_token.* prefix'),
])
def test_weights_that_do_not_fit(tmp_path, ours, theirs, prefix, problem):
    weights = small(**theirs).state_dict()
    path = str(tmp_path / 'vit.pth')
    torch.save({f'backbone.{k}': v for k, v in weights.items()}, path)
    init_cfg = dict(type='Pretrained', checkpoint=path, prefix=prefix)
    with pytest.raises(
            CheckpointError, match=f'vit.pth: does not fit .*{problem}'):
        small(**ours, init_cfg=init_cfg).init_weights()


@pytest.mark.parametrize('bias', [False, True])
def test_logits_are_those_of_the_patches(bias):
    """The logits are Q K^T without the class token."""
    model = small(attn_blocks=(-1, 1), patch_size=14, qkv_bias=bias)
    seen = {}
    for i in (1, 3):
        model.layers[i].attn.qkv.register_forward_hook(
            lambda _, args, out, i=i: seen.update({i: out}))
    _, attentions = model(torch.randn(2, 3, 41, 50), with_attention=True)
    for i, attention in zip((3, 1), attentions):
        query, key, _ = seen[i].chunk(3, 2)
        full = [
            query[..., head:head + 8] @ key[..., head:head + 8].mT
            for head in range(0, 32, 8)
        ]
        full = torch.stack(full, 1)
        ref.assert_close(attention.full(), full[..., 1:, 1:], rtol=1e-5)


@pytest.mark.parametrize('kwargs, message', [
    (dict(attn_blocks=(4, )), 'attn_blocks: 4 is not one of the blocks 1 to'),
    (dict(out_indices=(-5, )), 'out_indices: -5 is not'),
])
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        small(**kwargs)


def test_without_mmpretrain(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmseg_afa.models.backbones.attn_vit',
                        None)
    with pytest.raises(UserError, match='needs mmpretrain.*Run `make setup`'):
        backbones.build_attn_vit()


def test_afa_spreads_cams_on_its_grid():
    """The affinity has the grid of the patches at the largest scale."""
    net = build(
        backbone=dict(
            _delete_=True,
            type='AttnVisionTransformer',
            arch=ARCH,
            img_size=56,
            patch_size=14,
            out_indices=(1, 3)),
        decode_head=dict(in_channels=[32, 32], in_index=[0, 1]),
        affinity_head=dict(in_channels=8))
    images, data = batch((37, 50), labels=((1, 0, 1, 0, 0), ))
    label = torch.stack([sample.image_label for sample in data])
    classes = afa.PresentClasses.from_image_label(label)
    _, affinity, grid = net.eval().train_cam(images, classes, True)
    assert grid == (4, 6)  # 55 and 75 pixels
    assert affinity.shape == (1, 24, 24)
    out, = net.predict(images, data)
    assert out.pred_sem_seg.data.shape == (1, 37, 50)
    assert out.affinity_cam_given_tags.data.shape == (1, 37, 50)
