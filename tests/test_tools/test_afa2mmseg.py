# Copyright (c) mmseg_afa contributors. All rights reserved.
import pytest
import torch

from tests.test_reference import reference as ref
from tools.model_converters import afa2mmseg


@pytest.mark.parametrize('prefix', ['module.', ''])
def test_published_checkpoint(tmp_path, prefix):
    """Load the converted weights strictly: none is missing or left over."""
    name = ref.names('model_')[0]
    source, target = tmp_path / 'afa.pth', tmp_path / 'converted.pth'
    torch.save(ref.published_checkpoint(name, prefix), source)
    afa2mmseg.main([str(source), str(target)])
    weights = torch.load(target, weights_only=True)['state_dict']
    ref.build_model(name).load_state_dict(weights, strict=True)
    assert set(tmp_path.iterdir()) == {source, target}


@pytest.mark.parametrize('content, message', [
    ({
        'layer4.weight': torch.zeros(1)
    }, "other.pth: 'layer4.weight' is not a parameter of"),
    ({
        'meta': print
    }, 'other.pth: refused, .* would call .*print'),
])
def test_refuses_strangers(tmp_path, content, message):
    source = tmp_path / 'other.pth'
    torch.save(content, source)
    with pytest.raises(SystemExit, match=message):
        afa2mmseg.main([str(source), str(tmp_path / 'out.pth')])
    assert list(tmp_path.iterdir()) == [source]
