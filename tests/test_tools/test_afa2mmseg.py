# Copyright (c) mmseg_afa contributors. All rights reserved.
import sys

import pytest
import torch

from tests.test_reference import reference as ref
from tools.model_converters import afa2mmseg


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['afa2mmseg.py', *map(str, arguments)])
    afa2mmseg.main([*map(str, arguments)])


@pytest.mark.parametrize('prefix', ['module.', ''])
def test_published_checkpoint(monkeypatch, tmp_path, prefix):
    """The converter's output loads with nothing missing or left over."""
    name = ref.names('model_')[0]
    source, target = tmp_path / 'afa.pth', tmp_path / 'converted.pth'
    torch.save(ref.published_checkpoint(name, prefix), source)
    run(monkeypatch, source, target)
    weights = torch.load(target, weights_only=True)['state_dict']
    ref.build_model(name).load_state_dict(weights, strict=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'afa.pth', 'converted.pth'
    ]


def test_refuses_strangers(monkeypatch, tmp_path):
    source = tmp_path / 'other.pth'
    torch.save({'layer4.weight': torch.zeros(1)}, source)
    with pytest.raises(SystemExit, match="'layer4.weight' is no parameter of"):
        run(monkeypatch, source, tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()
