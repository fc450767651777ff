# Copyright (c) mmseg_afa contributors. All rights reserved.
import hashlib
import io
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner.checkpoint import CheckpointLoader
from mmseg.apis import MMSegInferencer
from torch import _weights_only_unpickler, nn

from mmseg_afa.utils import CheckpointError
from mmseg_afa.utils.checkpoints import check_weights, latest_checkpoint


class Malicious:
    """Call a function when unpickled the ordinary way."""

    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'a.pth'


def load(file, content=None):
    if content is not None:
        torch.save(content, file)
    return CheckpointLoader.load_checkpoint(str(file))


def test_message_hub_round_trip(file):
    hub = MessageHub.get_instance('test_message_hub_round_trip')
    for step, loss in enumerate([3., 2., 1.]):
        hub.update_scalar('train/loss', loss)
        hub.update_info('iter', step)
    hub.update_info('best_score', np.float64(0.5))
    state = load(file, dict(message_hub=hub.state_dict()))
    state = state['message_hub']
    loss = state['log_scalars']['train/loss']
    assert loss.statistics('mean') == 2. and loss.statistics('min') == 1.
    assert state['runtime_info']['best_score'] == 0.5


@pytest.mark.parametrize('core', [b'numpy.core', b'numpy._core'])
def test_arrays_of_numpy_1_and_2(core):
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
])
def test_malicious(file, monkeypatch, call, args):
    """Refuse a call, even if torch may load any pickle."""
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.chdir(file.parent)
    with pytest.raises(
            CheckpointError, match='a.pth: refused.*nothing was run'):
        load(file, dict(meta=Malicious(call, *args)))
    assert list(file.parent.iterdir()) == [file]


def test_object_arrays_are_refused(file):
    with pytest.raises(CheckpointError, match='refused|a.pth: not'):
        load(file, dict(meta=np.array([None])))


@pytest.mark.parametrize('keep', [0, 100, 80_000])
def test_damaged(file, keep):
    torch.save(nn.Linear(200, 200).state_dict(), file)
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match='a.pth: not a .* download it'):
        load(file)


def test_missing(file):
    with pytest.raises(CheckpointError, match='a.pth: .*No such'):
        load(file)


def test_downloaded(tmp_path, monkeypatch):
    """Load the copy that torch.hub has of a URL."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    file = tmp_path / 'hub/checkpoints/a.pth'
    file.parent.mkdir(parents=True)
    address = 'https://no.such.host/a.pth'
    torch.save(dict(state_dict={}), file)
    assert CheckpointLoader.load_checkpoint(address)['state_dict'] == {}
    torch.save(dict(meta=Malicious(os.mkdir, str(tmp_path / 'b'))), file)
    with pytest.raises(CheckpointError, match='refused'):
        CheckpointLoader.load_checkpoint(address)
    assert not (tmp_path / 'b').exists()


def serve(web, name):
    """Write weights to the served folder; the address, the cached file."""
    torch.save(nn.Linear(200, 200).state_dict(), web.folder / 'new')
    content = (web.folder / 'new').read_bytes()
    name = name.replace('HASH', hashlib.sha256(content).hexdigest()[:8])
    (web.folder / 'new').rename(web.folder / name)
    cache = Path(torch.hub.get_dir(), 'checkpoints')
    return f'{web.address}/{name}', cache / name


@pytest.mark.parametrize(
    'name', ['a_20220624-HASH.pth', 'a.pth', 'mit-b0.pth', 'a-20220624.pth'])
def test_address(web, name):
    """Download once; a hash in the name is optional."""
    address, cached = serve(web, name)
    for _ in range(2):
        loaded = CheckpointLoader.load_checkpoint(address)
    assert loaded['weight'].shape == (200, 200)
    assert web.asked == [f'/{cached.name}']
    assert list(cached.parent.iterdir()) == [cached]


@pytest.mark.parametrize('reason, address', [
    ('refused', 'http://127.0.0.1:9/a.pth'),
    ('refused', 'https://example.org/a.pth'),
    ('404', '{}/a.pth'),
])
def test_no_download(web, reason, address):
    address = address.format(web.address)
    cached = Path(torch.hub.get_dir(), 'checkpoints/a.pth')
    with pytest.raises(CheckpointError) as error:
        CheckpointLoader.load_checkpoint(address)
    message = str(error.value)
    assert message.startswith(f'{address}: cannot be downloaded')
    assert reason in message and f'Copy the file to {cached},' in message
    assert '--cfg-options model.backbone.init_cfg.checkpoint=FILE' in message
    assert not list(cached.parent.iterdir())


@pytest.mark.parametrize('name', ['half-HASH.pth', 'other-00000000.pth'])
def test_bad_download_is_not_kept(web, name):
    """Compare half a file, and another file, with the hash in the name."""
    address, cached = serve(web, name)
    with pytest.raises(CheckpointError, match=f'{address}: .*invalid hash'):
        CheckpointLoader.load_checkpoint(address)
    assert not list(cached.parent.iterdir())


@pytest.mark.parametrize('name, damage, reason', [
    ('a.pth', lambda file: os.truncate(file, 80_000), 'not .*delete it'),
    ('a-HASH.pth', lambda file: torch.save({}, file), '.*SHA-256.*Delete'),
])
def test_damaged_cache(web, name, damage, reason):
    """Name the file, which stays; a file of other weights is damaged, too."""
    address, cached = serve(web, name)
    CheckpointLoader.load_checkpoint(address)
    damage(cached)
    with pytest.raises(CheckpointError, match=f'^{cached}: {reason}'):
        CheckpointLoader.load_checkpoint(address)
    cached.unlink()
    assert CheckpointLoader.load_checkpoint(address)
    assert len(web.asked) == 2


def test_no_config_is_executed(file):
    """Give an inferencer without a config none of the checkpoint's."""
    marker = file.with_name('marker')
    config = dict(cfg=f'model = open({str(marker)!r}, "w")')
    torch.save(
        dict(
            state_dict={}, meta=config, message_hub=dict(runtime_info=config)),
        file)
    with pytest.raises(ValueError, match='Cannot find the config'):
        MMSegInferencer(None, weights=str(file), device='cpu')
    assert not marker.exists()


@pytest.mark.parametrize('path, known', [
    ('{}/best_mIoU_iter_2.pth', True),
    ('{}/../best_mIoU_iter_2.pth', False),
    ('{}/other.pth', False),
    ('/home', False),
])
def test_best_checkpoint_only_beside(file, path, known):
    """Keep mmengine from deleting a path that the file names."""
    info = dict(best_ckpt=path.format(file.parent), best_score=1.)
    loaded = load(file, dict(message_hub=dict(runtime_info=info)))
    if not known:
        del info['best_ckpt']
    assert loaded['message_hub']['runtime_info'] == info


@pytest.mark.parametrize('numbers', [['/../a'], [2, '*'], '12', 3, None])
def test_numbers_of_checkpoints(file, numbers):
    """Keep mmengine from deleting a path that stands in place of a number."""
    info = dict(keep_ckpt_ids=numbers)
    loaded = load(file, dict(message_hub=dict(runtime_info=info)))
    assert loaded['message_hub']['runtime_info'] == {}
    info = dict(keep_ckpt_ids=[2, 4])
    loaded = load(file, dict(message_hub=dict(runtime_info=info)))
    assert loaded['message_hub']['runtime_info'] == info


def test_latest_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path / 'none') is None
    for name in ('iter_90.pth', 'iter_1000.pth', '.iter_2000.tmp.pth',
                 'best_mIoU_iter_3000.pth', 'iter_x.pth', 'last_checkpoint'):
        (tmp_path / name).touch()
    newest = latest_checkpoint(tmp_path)
    assert newest == str(tmp_path / 'iter_1000.pth')


@pytest.mark.parametrize('state, expected', [
    (dict(further=torch.ones(1)), None),
    ({
        '0.weight': None
    }, 'it has no 0.weight'),
    ({
        '0.weight': torch.ones(2, 4)
    }, r'0.weight has the shape \(2, 4\) in place of \(2, 3\)'),
])
def test_check_weights(state, expected):
    model = nn.Sequential(nn.Linear(3, 2))
    weights = {**model.state_dict(), **state}
    weights = {n: value for n, value in weights.items() if value is not None}
    for checkpoint in weights, dict(state_dict=weights):
        if expected is None:
            check_weights(model, checkpoint, 'a.pth')
            continue
        with pytest.raises(CheckpointError, match=f'a.pth: .*{expected}. Use'):
            check_weights(model, checkpoint, 'a.pth')
