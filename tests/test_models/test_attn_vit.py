# Copyright (c) mmseg_afa contributors. All rights reserved.
import math
import sys
from pathlib import Path
from unittest import mock

import mmpretrain
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmpretrain.models import MAEViT, VisionTransformer
from mmseg.models.decode_heads import FCNHead

from mmseg_afa.models import backbones
from mmseg_afa.models.backbones.attn_vit import AttnVisionTransformer
from mmseg_afa.models.segmentors import afa
from tests.test_models.test_afa import batch, build, loss_at
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
@pytest.mark.parametrize('size', [(224, 224), (70, 113)])
def test_same_as_mmpretrain(name, size):
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
        if name != 'pos_embed':
            assert torch.equal(value, weights[f'backbone.{name}']), name
    grid = weights['backbone.pos_embed'][:, 1:].reshape(1, 8, 8, 32)
    grid = F.interpolate(grid.permute(0, 3, 1, 2), (4, 4), mode='bicubic')
    ref.assert_close(
        ours.pos_embed[:, 1:], grid.flatten(2).transpose(1, 2), rtol=1e-5)


def inputs_of(module, run):
    """Return the arguments that a module is called with."""
    seen = []
    with module.register_forward_pre_hook(lambda _, args: seen.extend(args)):
        run()
    return seen


@pytest.mark.parametrize('kwargs', [
    dict(),
    dict(patch_size=14, layer_scale_init_value=1e-5, qkv_bias=False),
    dict(pre_norm=True),
])
def test_logits_are_those_of_the_patches(kwargs):
    """The logits are Q K^T without the class token."""
    model = small(attn_blocks=(-1, 1), **kwargs)
    images = torch.randn(2, 3, 41, 50)
    with torch.no_grad():
        feats, attentions = model(images, with_attention=True)
    assert len(attentions) == 2
    cells = feats[-1].shape[2] * feats[-1].shape[3]
    for i, attention in zip((3, 1), attentions):
        qkv = model.layers[i].attn.qkv
        with torch.no_grad():
            x, = inputs_of(qkv, lambda: model(images))
            query, key, _ = qkv(x).chunk(3, 2)
        full = [
            query[..., head:head + 8] @ key[..., head:head + 8].mT
            for head in range(0, 32, 8)
        ]
        full = torch.stack(full, 1)
        assert full.shape[-1] == cells + 1
        ref.assert_close(attention.full(), full[..., 1:, 1:], rtol=1e-5)


def test_only_requested_blocks():
    model = small(attn_blocks=(3, 1))
    images = torch.randn(1, 3, 32, 32)
    with mock.patch.object(
            model, '_logits', side_effect=model._logits) as computed:
        assert len(model(images)) == 1
        assert computed.call_count == 0
        model(images, with_attention=True)
    assert [call.args[0] for call in computed.call_args_list] == [3, 1]


@pytest.mark.parametrize('size', [(1, 1), (224, 32)])
def test_any_size(size):
    feats, attentions = small()(torch.randn(2, 3, *size), True)
    rows, cols = (math.ceil(n / 8) for n in size)
    logits = [a.full() for a in attentions]
    assert feats[0].shape == (2, 32, rows, cols)
    assert logits[0].shape == (2, 4, rows * cols, rows * cols)
    assert all(x.isfinite().all() for x in (feats[0], *logits))


def test_gradients():
    """The logits train queries and keys and all earlier blocks."""
    model = small()
    feats, attentions = model(torch.randn(1, 3, 41, 50), with_attention=True)
    named = dict(model.named_parameters())

    def trained(loss):
        grads = torch.autograd.grad(
            loss, named.values(), retain_graph=True, allow_unused=True)
        assert all(g.isfinite().all() for g in grads if g is not None)
        return {
            name
            for name, g in zip(named, grads) if g is not None and g.any()
        }

    assert trained(feats[0].square().mean()) == set(named)
    by_logits = trained(sum(a.full().square().mean() for a in attentions))
    after = {n for n in named if n.startswith(('layers.3.', 'ln1'))}
    read = ('layers.3.ln1.', 'layers.3.attn.qkv.')
    assert by_logits == {
        n
        for n in named if n not in after or n.startswith(read)
    }


@pytest.mark.parametrize('kwargs, message', [
    (dict(attn_blocks=(4, )), 'attn_blocks: 4 is not one of the blocks 1 to'),
    (dict(attn_blocks=(-4, )), 'attn_blocks: -4 is not'),
    (dict(out_indices=(1, 4)), 'out_indices: 4 is not one of the blocks 0 to'),
    (dict(out_indices=(-5, )), 'out_indices: -5 is not'),
])
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        small(**kwargs)


def test_without_mmpretrain(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmseg_afa.models.backbones.attn_vit',
                        None)
    with pytest.raises(
            ImportError, match='needs mmpretrain.*Run `make setup`'):
        backbones.build_attn_vit()


def test_under_a_head_of_mmseg():
    head = FCNHead(in_channels=32, in_index=1, channels=8, num_classes=4)
    feats = small(out_indices=(1, 3))(torch.randn(2, 3, 41, 50))
    assert head(feats).shape == (2, 4, 6, 7)


@pytest.fixture(scope='module')
def net():
    """Build AFA with a ViT whose patches do not divide the crops."""
    return build(
        backbone=dict(
            _delete_=True,
            type='AttnVisionTransformer',
            arch=ARCH,
            img_size=56,
            patch_size=14,
            out_indices=(1, 3)),
        decode_head=dict(in_channels=[32, 32], in_index=[0, 1]),
        affinity_head=dict(in_channels=8))


@pytest.mark.parametrize('iteration', [0, 500, 900])
def test_afa_trains_over_it(net, iteration):
    losses = loss_at(net.train(), iteration)
    net.zero_grad()
    net.parse_losses(losses)[0].backward()
    assert net.backbone.layers[0].attn.qkv.weight.grad.any()
    assert all(p.grad is None or p.grad.isfinite().all()
               for p in net.parameters())
    assert ('affinity.loss_aff' in losses) == (iteration > 0)


def test_afa_spreads_cams_on_its_grid(net):
    """The affinity has the grid of the patches at the largest scale."""
    images, data = batch((37, 50), labels=((1, 0, 1, 0, 0), ))
    label = torch.stack([sample.image_label for sample in data])
    classes = afa.PresentClasses.from_image_label(label)
    _, affinity, grid = net.eval().train_cam(images, classes, True)
    assert grid == (4, 6)  # 55 and 75 pixels
    assert affinity.shape == (1, 24, 24)
    out, = net.predict(images, data)
    assert out.pred_sem_seg.data.shape == (1, 37, 50)
    assert out.affinity_cam_given_tags.data.shape == (1, 37, 50)
