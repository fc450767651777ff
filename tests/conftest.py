# Copyright (c) mmseg_afa contributors. All rights reserved.
import functools
import itertools
import os
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
import torch
from hypothesis import settings
from mmengine.runner import Runner, save_checkpoint

# before mmseg, which cannot be imported with mmcv-lite otherwise
import mmseg_afa  # noqa: F401

LOADED = set(sys.modules)  # by the import of the package

from mmseg.apis import init_model  # isort: skip # noqa: E402
from tests.test_reference.reference import ROOT  # isort: skip # noqa: E402

# No test downloads: the proxy, of its processes too, is a closed port.
os.environ.update(
    dict.fromkeys(['http_proxy', 'https_proxy'], 'http://127.0.0.1:9'),
    no_proxy='127.0.0.1,localhost')

# A busy machine may be slow.
settings.register_profile('patient', deadline=None)
settings.load_profile('patient')

DEMO = ROOT / 'configs/afa/afa_mit-b0_demo.py'
CLASSES = ('background', 'a', 'b', 'c', 'd', 'e')
ANIMALS = ('cat', 'cow', 'dog', 'bird', 'fish')
PALETTE = [[10 * i, 0, 200] for i in range(6)]

# The longest files, of which each is run by one process.
LONG = ('test_training.py', 'test_tags_to_masks.py', 'test_gpu_ready.py',
        'test_configs.py')


def pytest_collection_modifyitems(items):
    """Start with the longest files: the processes then end together."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope='session', autouse=True)
def own_names():
    """Name each run: mmengine shares the visualizer of runs of one second."""
    from_cfg, numbers = Runner.from_cfg.__func__, itertools.count()

    def named(cls, cfg):
        cfg.setdefault('experiment_name', f'test_{next(numbers)}')
        return from_cfg(cls, cfg)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, 'from_cfg', classmethod(named))
        yield


@pytest.fixture(scope='session', autouse=True)
def empty_folder(tmp_path_factory):
    """Run elsewhere: the paths of configs, data/demo, may exist in a clone."""
    os.chdir(tmp_path_factory.mktemp('empty'))


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory):
    """Write a checkpoint of the demo's config, as training does.

    It is untrained. Large weights make its predictions show several classes.
    """
    torch.manual_seed(0)
    model = init_model(str(DEMO), device='cpu')
    with torch.no_grad():
        model.decode_head.classifier.weight.mul_(20)
        model.decode_head.conv_seg.weight.mul_(20)
    path = str(tmp_path_factory.mktemp('weights') / 'iter_1.pth')
    meta = dict(dataset_meta=dict(classes=CLASSES, palette=PALETTE))
    save_checkpoint(dict(meta=meta, state_dict=model.state_dict()), path)
    return path


@pytest.fixture(scope='session')
def photos(tmp_path_factory):
    """Write photos of several sizes to nested folders."""
    folder = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    sizes = [(48, 80), (64, 64), (48, 80), (33, 70)]
    names = ['a.jpg', 'b.png', 'sub dir/c.jpg', 'sub dir/häuser.jpeg']
    for name, (height, width) in zip(names, sizes):
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        image = cv2.resize(small, (width, height))
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return folder


@pytest.fixture(scope='session')
def data_root(tmp_path_factory):
    """Write noise with tags."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(0)
    for folder in ('JPEGImages', 'ImageSets/Segmentation'):
        (root / folder).mkdir(parents=True)
    stems = [f'{i}' for i in range(6)]
    (root / 'ImageSets/Segmentation/trainaug.txt').write_text('\n'.join(stems))
    for stem in stems:
        image = rng.integers(256, size=(64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'JPEGImages/{stem}.jpg'), image)
    lines = [f'{stem}: {ANIMALS[int(stem) % 5]}' for stem in stems]
    (root / 'image_labels.txt').write_text('\n'.join(
        ['# ' + ','.join(ANIMALS), *lines]))
    return root


class Web(SimpleHTTPRequestHandler):
    """Serve a folder; of a name with "half", only the first half."""

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def copyfile(self, source, outputfile):
        content = source.read()
        half = 'half' in self.path
        outputfile.write(content[:len(content) // 2] if half else content)


@pytest.fixture
def web(tmp_path_factory, monkeypatch):
    """Serve a folder on this machine; the cache of torch.hub is empty."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path_factory.mktemp('torch')))
    folder = tmp_path_factory.mktemp('web')
    handler = functools.partial(Web, directory=str(folder))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        server.asked, server.folder = [], folder
        server.address = f'http://127.0.0.1:{server.server_port}'
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
