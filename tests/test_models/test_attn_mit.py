# Copyright (c) mmseg_afa contributors. All rights reserved.
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from mmseg.models.backbones import MixVisionTransformer

from mmseg_afa.models import AttnMixVisionTransformer
from mmseg_afa.models.backbones import attn_mit
from mmseg_afa.utils import CheckpointError, UserError
from tests.test_reference import reference as ref


def small(**kwargs):
    return AttnMixVisionTransformer(arch='b0', **kwargs)


@pytest.mark.parametrize('size', [(1, 1), (50, 37), (4, 70)])
def test_any_size(size):
    model = small()
    feats, attentions = model(torch.randn(2, 3, *size), with_attention=True)
    for feat, stride, dims in zip(feats, (4, 8, 16, 16), (32, 64, 160, 256)):
        assert feat.shape == (2, dims, *(-(-n // stride) for n in size))
    cells = feats[-1][0, 0].numel()
    logits = [a.full() for a in attentions]
    assert [x.shape for x in logits] == [(2, 8, cells, cells)] * 2
    (feats[-1].mean() + sum(x.mean() for x in logits)).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_same_as_mmseg():
    """The outputs equal those of mmseg's MiT with the same parameters."""
    torch.manual_seed(0)
    model = small().eval()
    theirs = MixVisionTransformer(
        embed_dims=32,
        num_layers=[2, 2, 2, 2],
        num_heads=[1, 2, 5, 8],
        strides=[4, 2, 2, 1]).eval()
    theirs.load_state_dict(model.state_dict(), strict=True)
    for stage in theirs.layers:
        stage[0].norm.eps = 1e-5
        for block in stage[1]:
            if block.attn.sr_ratio > 1:
                block.attn.norm.eps = 1e-5
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        for ours, other in zip(model(x), theirs(x)):
            ref.assert_close(ours, other, rtol=1e-5)


def test_logits_explain_attention():
    """The block computes softmax(logits / sqrt(d)) V."""
    torch.manual_seed(0)
    attention = small().layers[3][1][0].attn.eval()
    x = torch.randn(1, 12, 256)
    with torch.no_grad():
        out, logits = attention(
            x, (3, 4), identity=torch.zeros_like(x), with_logits=True)
        weights = (logits.full() / 32**0.5).softmax(-1)
        value = attention._project(x, x)[2]
        expected = attention.attn.out_proj(
            (weights @ value).transpose(1, 2).flatten(2))
    ref.assert_close(out, expected, rtol=1e-5)


def test_stochastic_depth():
    """Drop a branch of an image with the rate of its block."""
    torch.manual_seed(0)
    model = small(drop_path_rate=0.5).train()
    tokens = torch.zeros(4000, 1, 1)
    factors = list(model.stochastic_depth(tokens))
    depth = len(factors)
    for i, branches in enumerate(factors):
        keep = 1 - 0.5 * i / (depth - 1)
        for factor in branches:
            assert factor.shape == (4000, 1, 1)
            assert factor.max().item() == pytest.approx(1 / keep)
            kept = (factor > 0).float().mean().item()
            assert kept == pytest.approx(keep, abs=0.03)
            assert set(factor.unique().tolist()) <= {0., factor.max().item()}
    assert not torch.equal(*factors[-1])
    assert next(model.eval().stochastic_depth(tokens)) == (None, None)


def test_only_requested_blocks():
    """No other block computes its logits."""
    model = small(attn_blocks=[(2, 0), (3, -1)]).eval()
    images = torch.randn(1, 3, 64, 64)
    with mock.patch.object(
            attn_mit, 'AttentionLogits',
            wraps=attn_mit.AttentionLogits) as made, torch.no_grad():
        assert isinstance(model(images), tuple)
        assert made.call_count == 0
        _, attentions = model(images, with_attention=True)
    assert made.call_count == 2
    # keys of stage 3 are reduced 2 x 2, and the queries with them
    assert [a.full().shape[1:] for a in attentions] == [(5, 4, 4), (8, 16, 16)]


def test_no_such_block():
    with pytest.raises(IndexError):
        small(attn_blocks=[(3, 2)])


def test_checkpointing_changes_nothing():
    torch.manual_seed(0)
    x = torch.randn(1, 3, 48, 48)
    grads = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        model = small(with_cp=with_cp, drop_path_rate=0.)
        feats, attentions = model(x, with_attention=True)
        (feats[-1].square().sum() +
         attentions[0].full().square().sum()).backward()
        grads.append(model.layers[0][0].projection.weight.grad)
    ref.assert_close(grads[1], grads[0], rtol=1e-5)


def test_segformer_weights(tmp_path):
    """Load ImageNet weights by SegFormer's names, or by mmseg's."""
    name = ref.names('model_')[0]
    weights = {
        k[len('encoder.'):]: v
        for k, v in ref.published_checkpoint(name, prefix='').items()
        if k.startswith('encoder.')
    }
    weights['head.weight'] = torch.zeros(1000, 256)
    weights['head.bias'] = torch.zeros(1000)
    path = str(tmp_path / 'mit_b0.pth')
    torch.save(weights, path)
    model = small(init_cfg=dict(type='Pretrained', checkpoint=path))
    model.init_weights()
    expected = ref.build_model(name).backbone.state_dict()
    for key, value in model.state_dict().items():
        assert torch.equal(value, expected[key]), key
    torch.save(dict(state_dict=model.state_dict()), path)
    again = small(init_cfg=dict(type='Pretrained', checkpoint=path))
    again.init_weights()
    assert torch.equal(again.layers[3][2].weight, model.layers[3][2].weight)


def test_missing_weights():
    model = small(init_cfg=dict(type='Pretrained', checkpoint='no/mit.pth'))
    with pytest.raises(UserError, match='no/mit.pth: no such.*init_cfg=None'):
        model.init_weights()


def keep(weights):
    return weights


def of_published_names(weights):
    return {'patch_embed1.proj.weight': torch.zeros(32, 3, 7, 7)}


def of_a_segmentor(weights):
    return {f'backbone.{name}': value for name, value in weights.items()}


def without_a_norm(weights):
    del weights['layers.3.2.bias']
    return weights


@pytest.mark.parametrize('arch, change, problem', [
    ('b0', keep, None),
    ('b0', lambda weights: weights | {
        'head.weight': torch.ones(1)
    }, None),
    ('b1', keep, r'size mismatch for layers.0.0.projection.weight.*\[32, 3'),
    ('b0', without_a_norm, 'the file has no layers.3.2.bias'),
    ('b0', of_published_names, 'the file has no layers.0.0.projection.bias'),
    ('b0', of_a_segmentor, 'no layers.0.0.* is backbone.layers.0.0.proj'),
    ('b0', lambda weights: {}, 'the file has no layers.0.0'),
    ('fewer', keep, 'the backbone has no layers.3.1.1'),
    ('more', keep, 'the file has no layers.2.1.2'),
])
def test_weights_that_do_not_fit(tmp_path, arch, change, problem):
    """Stop, where mmengine would train from random weights."""
    path = str(tmp_path / 'mit.pth')
    torch.save(change(dict(small().state_dict())), path)
    with mock.patch.dict(
            attn_mit.ARCHS,
            fewer=dict(embed_dims=32, num_layers=(2, 2, 2, 1)),
            more=dict(embed_dims=32, num_layers=(2, 2, 3, 2))):
        model = AttnMixVisionTransformer(
            arch=arch,
            attn_blocks=[(3, 0)],
            init_cfg=dict(type='Pretrained', checkpoint=path))
    if problem is None:
        return model.init_weights()
    with pytest.raises(
            CheckpointError,
            match=f'mit.pth: does not fit the backbone: .*{problem}'):
        model.init_weights()


@pytest.mark.parametrize('most', [50, 10**6])
@pytest.mark.parametrize('training', [False, True])
def test_attention_in_bfloat16_by_parts(monkeypatch, most, training):
    """Outputs and gradients equal torch's for any size of the parts."""
    monkeypatch.setattr(attn_mit, 'MAX_LOGITS', most)
    shapes = [(2, 3, 11, 8), (2, 3, 5, 8), (2, 3, 5, 8)]
    whole = [torch.randn(shape, requires_grad=True) for shape in shapes]
    half = [x.detach().bfloat16().requires_grad_() for x in whole]
    expected = F.scaled_dot_product_attention(*whole)
    with torch.set_grad_enabled(training), \
            torch.autocast('cpu', torch.bfloat16):
        out = attn_mit.attend(*half)
    assert out.dtype == torch.bfloat16
    ref.assert_close(out, expected, rtol=0.02)
    if training:
        gradients = [
            torch.autograd.grad(output.float().square().sum(), inputs)
            for output, inputs in [(out, half), (expected, whole)]
        ]
        for found, wanted in zip(*gradients):
            ref.assert_close(found, wanted, rtol=0.03)
