# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from torch import nn

from mmseg_afa import compat

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize('version, fits', [('2.1.0+cpu', True),
                                           ('2.2.0rc1', False)])
def test_version_range(monkeypatch, version, fits):
    monkeypatch.setattr(
        compat, 'import_module',
        lambda name: SimpleNamespace(__version__=version
                                     if name == 'mmcv' else '9'))
    monkeypatch.setattr(compat, 'SUPPORTED',
                        {'mmcv': compat.SUPPORTED['mmcv']})
    if fits:
        compat.check_libraries()
    else:
        with pytest.raises(
                ImportError, match=f'found mmcv {re.escape(version)}\\.'):
            compat.check_libraries()


@pytest.mark.parametrize('full', [False, True])
def test_a_full_mmcv_keeps_its_operators(monkeypatch, full):
    monkeypatch.delitem(sys.modules, 'mmcv._ext', raising=False)
    monkeypatch.setattr(compat, 'find_spec', lambda name: full or None)
    compat.stand_in_for_operators()
    assert ('mmcv._ext' in sys.modules) == (not full)
    if not full:
        with pytest.raises(
                NotImplementedError, match="'nms'.*Install a full mmcv"):
            sys.modules['mmcv._ext'].nms(1, 2)


def test_same_ranges_as_requirements():
    lines = ''.join((ROOT / f'requirements/{name}.txt').read_text()
                    for name in ('runtime', 'lite', 'mminstall'))
    declared = [
        Requirement(line) for line in re.sub('#.*', '', lines).splitlines()
        if line.strip()
    ]
    declared = {line.name: line.specifier for line in declared}
    declared['mmseg'] = declared.pop('mmsegmentation')
    for name, supported in compat.SUPPORTED.items():
        assert declared[name] == SpecifierSet(supported)
    assert declared['mmcv-lite'] == declared['mmcv']


def test_package_scope_of_base_configs(tmp_path, capfd):
    """Find mmseg's components in the scope, without a warning."""
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'mmseg_afa::afa/afa_mit-b1_voc.py'\n")
    assert Config.fromfile(child).default_scope == 'mmseg'
    with HOOKS.switch_scope_and_registry('mmseg_afa') as hooks:
        assert hooks.get('SegVisualizationHook')
    assert 'mmseg_afa' not in capfd.readouterr().out


# A process without pkg_resources, which setuptools 82 dropped, and without
# pkgutil.find_loader, which Python 3.14 dropped.
NEWER_LIBRARIES = """
import pkgutil
import sys
sys.modules['pkg_resources'] = None
vars(pkgutil).pop('find_loader', None)
import mmseg_afa
import mmengine.hub
from mmengine.config import Config
from mmengine.utils import get_installed_path, is_installed
from mmengine.utils.dl_utils import mmcv_full_available

name = 'mmseg_afa::_base_/default_runtime.py'  # its base is in mmseg
with open('child.py', 'w') as file:
    file.write(f'_base_ = {name!r}')
for config in Config.fromfile('child.py'), mmengine.hub.get_config(name):
    assert config.default_scope == 'mmseg'
assert get_installed_path('mmsegmentation') == get_installed_path('mmseg')
assert is_installed('mmsegmentation') and is_installed('opencv.python')
assert not is_installed('mmdet')
try:
    get_installed_path('mmdet')
except ModuleNotFoundError as error:
    assert str(error) == 'mmdet is not installed.'
mmcv_full_available()

import warnings
from mmseg.models.builder import build_loss
build_loss(dict(type='AffinityLoss'))
for folder in '/lib/site-packages/mmpretrain', 'mine':
    warnings.warn_explicit(folder, SyntaxWarning, f'{folder}/vqa.py', 1)
"""


def test_newer_libraries(tmp_path):
    process = subprocess.run([sys.executable, '-c', NEWER_LIBRARIES],
                             cwd=tmp_path,
                             env=dict(os.environ, PYTHONPATH=str(ROOT)),
                             text=True,
                             capture_output=True)
    assert process.returncode == 0, process.stderr
    # warnings of libraries are hidden, those of users are not
    assert process.stderr == 'mine/vqa.py:1: SyntaxWarning: mine\n'


def test_no_grad_leaves_the_gradients_to_others():
    layer, inputs = nn.Linear(3, 3), torch.ones(2, 3)
    with torch.autocast('cpu', torch.bfloat16):
        assert not compat.no_grad(layer)(inputs).requires_grad
        layer(inputs).sum().backward()
    assert layer.weight.grad is not None
