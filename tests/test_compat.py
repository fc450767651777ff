# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The gaps between library versions that mmseg_afa.compat bridges."""

import io
import os
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
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


class TestVersions:

    @pytest.mark.parametrize('version', ['2.0.0', '2.1.0', '2.1.0+cpu'])
    def test_in_range(self, version):
        compat.check_version('mmcv', version, compat.SUPPORTED['mmcv'])

    @pytest.mark.parametrize('version', ['1.7.2', '2.2.0', '2.2.0rc1'])
    def test_out_of_range(self, version):
        with pytest.raises(ImportError, match=f'found mmcv {version}'):
            compat.check_version('mmcv', version, compat.SUPPORTED['mmcv'])

    def test_missing_library(self, monkeypatch):
        monkeypatch.setattr(compat, 'SUPPORTED', {'no_such_library': '>=1'})
        with pytest.raises(
                ImportError, match='no_such_library>=1.*make setup'):
            compat.check_libraries()

    def test_mmcv_without_operators(self):
        operators = compat.MissingOperators('mmcv._ext')
        with pytest.raises(NotImplementedError, match="'nms'.*OPERATORS=1"):
            operators.nms(1, 2)
        assert not hasattr(operators, '__path__')

    @pytest.mark.parametrize('full', [False, True])
    def test_a_full_mmcv_keeps_its_operators(self, monkeypatch, full):
        monkeypatch.delitem(sys.modules, 'mmcv._ext', raising=False)
        monkeypatch.setattr(compat, 'find_spec', lambda name: full or None)
        compat.stand_in_for_operators()
        assert ('mmcv._ext' in sys.modules) == (not full)

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

    def test_message_hub_round_trip(self, tmp_path):
        hub = MessageHub.get_instance('test_message_hub_round_trip')
        for step, loss in enumerate([3., 2., 1.]):
            hub.update_scalar('train/loss', loss)
            hub.update_info('iter', step)
        hub.update_info('best_score', np.float64(0.5))
        file = str(tmp_path / 'a.pth')
        torch.save(
            dict(
                state_dict=nn.Linear(2, 2).state_dict(),
                message_hub=hub.state_dict()), file)
        state = CheckpointLoader.load_checkpoint(file)['message_hub']
        loss = state['log_scalars']['train/loss']
        assert loss.statistics('mean') == 2. and loss.statistics('min') == 1.
        assert state['runtime_info']['best_score'] == 0.5

    @pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
    def test_arrays_of_numpy_1_and_2(self, tmp_path, core):
        pickled = pickle.dumps({'history': np.arange(3.)}, protocol=2)
        pickled = re.sub(rb'numpy\._?core', core, pickled)
        loaded = _weights_only_unpickler.load(
            io.BytesIO(pickled), encoding='utf-8')
        assert loaded['history'].tolist() == [0., 1., 2.]

    def test_only_statistics_of_the_history(self):
        assert compat.history_statistic(HistoryBuffer,
                                        'mean') is HistoryBuffer.mean
        for owner, name in [(HistoryBuffer, '__init__'), (np, 'load'),
                            (HistoryBuffer.mean, '__globals__')]:
            with pytest.raises(pickle.UnpicklingError):
                compat.history_statistic(owner, name)

    @pytest.mark.parametrize('call, args', [
        (exec, ('raise SystemExit', )),
        (getattr, (dict, 'fromkeys')),
        (getattr, (HistoryBuffer, '__init__')),
        (os.system, ('touch {marker}', )),
        (Path.touch, (Path('{marker}'), )),
    ])
    def test_malicious_checkpoint(self, tmp_path, call, args):
        marker = tmp_path / 'marker'
        args = [
            type(a)(str(a).format(
                marker=marker)) if isinstance(a, (str, Path)) else a
            for a in args
        ]
        file = str(tmp_path / 'a.pth')
        torch.save(
            dict(
                state_dict=nn.Linear(2, 2).state_dict(),
                meta=Malicious(call, *args)), file)
        with pytest.raises(
                compat.CheckpointError,
                match='refused.*nothing in it was run'):
            CheckpointLoader.load_checkpoint(file)
        assert not marker.exists()

    def test_object_arrays_are_refused(self, tmp_path):
        file = str(tmp_path / 'a.pth')
        torch.save(dict(meta=np.array([None])), file)
        with pytest.raises(compat.CheckpointError):
            CheckpointLoader.load_checkpoint(file)

    @pytest.mark.parametrize('keep', [0, 100, 0.5])
    def test_damaged_checkpoint(self, tmp_path, keep):
        file = tmp_path / 'a.pth'
        torch.save(nn.Linear(200, 200).state_dict(), file)
        content = file.read_bytes()
        keep = int(keep * len(content)) if isinstance(keep, float) else keep
        file.write_bytes(content[:keep])
        with pytest.raises(
                compat.CheckpointError, match='a.pth: not a checkpoint'):
            CheckpointLoader.load_checkpoint(str(file))

    def test_missing_checkpoint(self, tmp_path):
        with pytest.raises(
                compat.CheckpointError, match='none.pth: .*No such'):
            CheckpointLoader.load_checkpoint(str(tmp_path / 'none.pth'))

    def test_not_a_dict(self, tmp_path):
        torch.save([1, 2], tmp_path / 'a.pth')
        with pytest.raises(compat.CheckpointError, match='but a list'):
            CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))

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

    def test_no_config_is_executed(self, tmp_path):
        """An inferencer without a config takes that of the checkpoint."""
        config = f'model = open({str(tmp_path / "marker")!r}, "w")'
        file = str(tmp_path / 'a.pth')
        torch.save(
            dict(
                state_dict={},
                meta=dict(cfg=config),
                message_hub=dict(runtime_info=dict(cfg=config))), file)
        with pytest.raises(ValueError, match='Cannot find the config'):
            MMSegInferencer(None, weights=file, device='cpu')
        assert not (tmp_path / 'marker').exists()

    @pytest.mark.parametrize('path, known', [
        ('{}/best_mIoU_iter_2.pth', True),
        ('{}/../best_mIoU_iter_2.pth', False),
        ('{}/other.pth', False),
        ('/home', False),
    ])
    def test_best_checkpoint_only_beside(self, tmp_path, path, known):
        """mmengine deletes what lies there once there is a better one."""
        file = str(tmp_path / 'a.pth')
        info = dict(best_ckpt=path.format(tmp_path), best_score=1.)
        torch.save(dict(message_hub=dict(runtime_info=info)), file)
        loaded = CheckpointLoader.load_checkpoint(file)
        loaded = loaded['message_hub']['runtime_info']
        assert loaded.pop('best_score') == 1.
        assert loaded == (dict(best_ckpt=info['best_ckpt']) if known else {})


def test_no_grad_leaves_the_gradients_to_others():
    layer, inputs = nn.Linear(3, 3), torch.ones(2, 3)
    with torch.autocast('cpu', torch.bfloat16):
        assert not compat.no_grad(layer)(inputs).requires_grad
        layer(inputs).sum().backward()
    assert layer.weight.grad is not None
