# Copyright (c) mmseg_afa contributors. All rights reserved.
"""model_*.npz, multi_scale_cam_*.npz, multi_scale_inference*.npz."""
import re

import pytest
import torch

from mmseg_afa.models import TTA
from mmseg_afa.models.pseudo_labels import merge_cams
from mmseg_afa.models.segmentors.logits import seg_logits
from . import reference as ref

ATTENTION = r'attn_stage(\d)_block(\d+)'


@pytest.mark.parametrize('name', ref.names('model_'))
@torch.no_grad()
def test_model(name):
    data = ref.load(name)
    blocks = [re.fullmatch(ATTENTION, k) for k in data]
    blocks = [(int(m[1]) - 1, int(m[2])) for m in blocks if m]
    assert len(blocks) == 4
    inputs = ref.network_input(data['image'])

    model = ref.build_model(name, attn_blocks=blocks)
    feats, attentions = model.backbone(inputs, with_attention=True)
    for (stage, block), attention in zip(blocks, attentions):
        ref.assert_close(attention.full(),
                         data[f'attn_stage{stage + 1}_block{block}'])
    ref.assert_close(feats[0], data['feat0'])
    ref.assert_close(feats[3], data['feat3'])
    ref.assert_close(model.decode_head(feats), data['seg_logits'])
    ref.assert_close(model.decode_head.image_logits(feats), data['cls_logits'])
    ref.assert_close(model.decode_head.cam(feats), data['cam'])

    model = ref.build_model(name)
    affinity = model.affinity(model.features(inputs, with_attention=True))
    ref.assert_close(affinity, data['affinity'])


@pytest.mark.parametrize('name', ref.names('multi_scale_cam_'))
@torch.no_grad()
def test_multi_scale_cam(name):
    data = ref.load(name)
    model = ref.build_model(name)
    inputs = ref.network_input(data['image'])
    cams, affinity = model.raw_cams(
        inputs, data['scales'].tolist(), with_affinity=True)
    ref.assert_close(merge_cams(cams, inputs.shape[-2:]), data['cam'])
    ref.assert_close(affinity, data['affinity_max_scale'])


@pytest.mark.parametrize('name', ref.names('multi_scale_inference'))
@torch.no_grad()
def test_multi_scale_inference(name):
    data = ref.load(name)
    model = ref.build_model(name)
    logits = seg_logits(
        model,
        ref.network_input(data['image']),
        tta=TTA(scales=data['scales'].tolist(), flip=True))
    ref.assert_close(logits[0], data['seg_logits_msc'])
