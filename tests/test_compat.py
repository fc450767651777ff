# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The gaps between library versions that mmseg_afa.compat bridges."""

import errno
import io
import os
import pickle
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine import fileio
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.registry import HOOKS
from mmengine.runner.checkpoint import CheckpointLoader
from mmseg.apis import MMSegInferencer
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from torch import _weights_only_unpickler, nn

from mmseg_afa import compat

ROOT = Path(__file__).parents[1]


class TestLibraries:

    @pytest.mark.parametrize('version, fits', [('2.0.0', True),
                                               ('2.1.0+cpu', True),
                                               ('1.7.2', False),
                                               ('2.2.0rc1', False)])
    def test_range(self, monkeypatch, version, fits):
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
                    ImportError, match=f'found mmcv {re.escape(version)}:'):
                compat.check_libraries()

    def test_missing(self, monkeypatch):
        monkeypatch.setattr(compat, 'SUPPORTED', {'no_such_library': '>=1'})
        with pytest.raises(
                ImportError, match='no_such_library>=1.*make setup'):
            compat.check_libraries()

    @pytest.mark.parametrize('full', [False, True])
    def test_a_full_mmcv_keeps_its_operators(self, monkeypatch, full):
        monkeypatch.delitem(sys.modules, 'mmcv._ext', raising=False)
        monkeypatch.setattr(compat, 'find_spec', lambda name: full or None)
        compat.stand_in_for_operators()
        assert ('mmcv._ext' in sys.modules) == (not full)
        if not full:
            with pytest.raises(
                    NotImplementedError, match="'nms'.*OPERATORS=1"):
                sys.modules['mmcv._ext'].nms(1, 2)

    def test_same_ranges_as_requirements(self):
        lines = ''.join((ROOT / f'requirements/{name}.txt').read_text()
                        for name in ('runtime', 'lite', 'mminstall'))
        declared = [
            Requirement(line)
            for line in re.sub('#.*', '', lines).splitlines() if line.strip()
        ]
        declared = {line.name: line.specifier for line in declared}
        declared['mmseg'] = declared.pop('mmsegmentation')
        for name, supported in compat.SUPPORTED.items():
            assert declared[name] == SpecifierSet(supported)
        assert declared['mmcv-lite'] == declared['mmcv']


def test_package_scope_of_base_configs(tmp_path, capfd):
    """All that mmseg has is found in the scope, and no warning printed."""
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'mmseg_afa::afa/afa_mit-b1_voc.py'\n")
    assert Config.fromfile(child).default_scope == 'mmseg'
    with HOOKS.switch_scope_and_registry('mmseg_afa') as hooks:
        assert hooks.get('SegVisualizationHook')
    assert 'mmseg_afa' not in capfd.readouterr().out


class Malicious:
    """Runs a command when unpickled the ordinary way."""

    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


class TestCheckpoints:

    @pytest.fixture
    def file(self, tmp_path):
        return tmp_path / 'a.pth'

    @staticmethod
    def load(file, content=None):
        if content is not None:
            torch.save(content, file)
        return CheckpointLoader.load_checkpoint(str(file))

    def test_message_hub_round_trip(self, file):
        hub = MessageHub.get_instance('test_message_hub_round_trip')
        for step, loss in enumerate([3., 2., 1.]):
            hub.update_scalar('train/loss', loss)
            hub.update_info('iter', step)
        hub.update_info('best_score', np.float64(0.5))
        state = self.load(file, dict(message_hub=hub.state_dict()))
        state = state['message_hub']
        loss = state['log_scalars']['train/loss']
        assert loss.statistics('mean') == 2. and loss.statistics('min') == 1.
        assert state['runtime_info']['best_score'] == 0.5

    @pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
    def test_arrays_of_numpy_1_and_2(self, core):
        pickled = pickle.dumps({'history': np.arange(3.)}, protocol=2)
        pickled = re.sub(rb'numpy\._?core', core, pickled)
        loaded = _weights_only_unpickler.load(
            io.BytesIO(pickled), encoding='utf-8')
        assert loaded['history'].tolist() == [0., 1., 2.]

    @pytest.mark.parametrize('call, args', [
        (exec, ('raise SystemExit', )),
        (getattr, (dict, 'fromkeys')),
        (getattr, (HistoryBuffer, '__init__')),
        (os.mkdir, ('marker', )),
        (Path.touch, (Path('marker'), )),
    ])
    def test_malicious(self, file, monkeypatch, call, args):
        """Also where torch is told to load any pickle."""
        monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
        monkeypatch.chdir(file.parent)
        with pytest.raises(
                compat.CheckpointError,
                match='a.pth: refused.*nothing in it was run'):
            self.load(file, dict(meta=Malicious(call, *args)))
        assert list(file.parent.iterdir()) == [file]

    def test_object_arrays_are_refused(self, file):
        with pytest.raises(compat.CheckpointError, match='refused|a.pth: not'):
            self.load(file, dict(meta=np.array([None])))

    @pytest.mark.parametrize('keep', [0, 100, 80_000])
    def test_damaged(self, file, keep):
        torch.save(nn.Linear(200, 200).state_dict(), file)
        file.write_bytes(file.read_bytes()[:keep])
        with pytest.raises(
                compat.CheckpointError, match='a.pth: not a .* download it'):
            self.load(file)

    def test_missing(self, file):
        with pytest.raises(compat.CheckpointError, match='a.pth: .*No such'):
            self.load(file)

    def test_not_a_dict(self, file):
        with pytest.raises(compat.CheckpointError, match='a.pth: .* a list'):
            self.load(file, [1, 2])

    def test_downloaded(self, tmp_path, monkeypatch):
        """torch.hub takes a file that it has for the one at the address."""
        monkeypatch.setenv('TORCH_HOME', str(tmp_path))
        file = tmp_path / 'hub/checkpoints/a.pth'
        file.parent.mkdir(parents=True)
        address = 'https://no.such.host/a.pth'
        torch.save(dict(state_dict={}), file)
        assert CheckpointLoader.load_checkpoint(address)['state_dict'] == {}
        torch.save(dict(meta=Malicious(os.mkdir, str(tmp_path / 'b'))), file)
        with pytest.raises(compat.CheckpointError, match='refused'):
            CheckpointLoader.load_checkpoint(address)
        assert not (tmp_path / 'b').exists()

    def test_no_config_is_executed(self, file):
        """An inferencer without a config takes that of the checkpoint."""
        marker = file.with_name('marker')
        config = dict(cfg=f'model = open({str(marker)!r}, "w")')
        torch.save(
            dict(
                state_dict={},
                meta=config,
                message_hub=dict(runtime_info=config)), file)
        with pytest.raises(ValueError, match='Cannot find the config'):
            MMSegInferencer(None, weights=str(file), device='cpu')
        assert not marker.exists()

    @pytest.mark.parametrize('path, known', [
        ('{}/best_mIoU_iter_2.pth', True),
        ('{}/../best_mIoU_iter_2.pth', False),
        ('{}/other.pth', False),
        ('/home', False),
    ])
    def test_best_checkpoint_only_beside(self, file, path, known):
        """mmengine deletes what lies there once there is a better one."""
        info = dict(best_ckpt=path.format(file.parent), best_score=1.)
        loaded = self.load(file, dict(message_hub=dict(runtime_info=info)))
        if not known:
            del info['best_ckpt']
        assert loaded['message_hub']['runtime_info'] == info


def test_no_grad_leaves_the_gradients_to_others():
    layer, inputs = nn.Linear(3, 3), torch.ones(2, 3)
    with torch.autocast('cpu', torch.bfloat16):
        assert not compat.no_grad(layer)(inputs).requires_grad
        layer(inputs).sum().backward()
    assert layer.weight.grad is not None


def test_what_is_written_is_whole(tmp_path, monkeypatch):
    """Through mmengine's fileio, with which checkpoints are written."""
    path = tmp_path / 'new folder' / 'a.pth'
    fileio.put(b'old', path)

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        fileio.put(b'new', path)
    assert path.read_bytes() == b'old'
    assert list(path.parent.iterdir()) == [path]
