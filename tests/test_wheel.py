# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Build and install a wheel, and use it through mim."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_metafile import ROOT, metafile_models
from tests.test_training import data  # noqa: F401 (a fixture)

pytestmark = pytest.mark.slow

# Three steps through all phases, and a validation.
OPTIONS = [
    'train_cfg.max_iters=3', 'model.train_cfg.cam_iters=0',
    'model.train_cfg.switch_iter=1'
]


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """Install the wheel to a folder like site-packages."""
    folder = tmp_path_factory.mktemp('wheel')
    # a build/ would keep files that were deleted
    shutil.copytree(
        ROOT,
        folder / 'source',
        symlinks=True,
        ignore=shutil.ignore_patterns('.git', '.venv', 'build', 'data',
                                      'work_dirs', 'tests'))
    pip = [sys.executable, '-m', 'pip', '--quiet']
    subprocess.check_call([
        *pip, 'wheel', '--no-deps', '--no-build-isolation', '-w', folder,
        folder / 'source'
    ])
    wheel, = folder.glob('*.whl')
    subprocess.check_call([
        *pip, 'install', '--no-deps', '--no-compile', '--target',
        folder / 'site', wheel
    ])
    return folder / 'site'


@pytest.fixture
def mim(site, tmp_path):
    """Return a function that runs mim with the wheel; its output."""
    pytest.importorskip('pkg_resources', reason='mim imports pkg_resources')

    def run(*arguments):
        process = subprocess.run(
            [str(Path(sys.executable).with_name('mim')), *map(str, arguments)],
            cwd=tmp_path,
            env=dict(
                os.environ, PYTHONPATH=str(site), CUDA_VISIBLE_DEVICES=''),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        assert process.returncode == 0, process.stdout
        return process.stdout

    return run


def test_all_that_ships(site):
    for folder in ('configs', 'tools'):
        expected = {
            path.relative_to(ROOT)
            for suffix in ('py', 'sh', 'yml')
            for path in (ROOT / folder).rglob(f'*.{suffix}')
        }
        root = site / 'mmseg_afa/.mim'
        found = {
            path.relative_to(root)
            for path in (root / folder).rglob('*') if path.is_file()
        }
        assert found == expected
    assert (site / 'mmseg_afa/.mim/model-index.yml').is_file()
    assert (site / 'mmseg_afa/apis/review.html').is_file()


def test_search_and_list(mim):
    assert 'mmseg-afa' in mim('list').replace('_', '-')
    found = mim('search', 'mmseg_afa')
    for model in metafile_models():
        assert f'config id: {model["Name"]}\n' in found
        for result in model.get('Results', []):
            for score in result['Metrics'].values():
                assert str(score) in found


def test_train_and_test(mim, data, tmp_path):  # noqa: F811
    own = []
    for split in ('train', 'val', 'test'):
        dataset = f'{split}_dataloader.dataset'
        own += [
            f'{dataset}.data_root={data}',
            f'{dataset}.data_prefix.seg_map_path=SegmentationClassAug'
        ]
    mim('train', 'mmseg_afa', 'afa_mit-b0_demo.py', '--gpus', 0, '--work-dir',
        'work', '--cfg-options', *OPTIONS, *own)
    checkpoint = tmp_path / 'work/iter_3.pth'
    printed = mim('test', 'mmseg_afa', 'afa_mit-b0_demo.py', '--gpus', 0,
                  '--checkpoint', checkpoint, '--cfg-options', *own)
    assert ' image_label/mAP: ' in printed
