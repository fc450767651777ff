# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The demo data set: its layout, its contents, and that it is whole."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

TOOL = (
    Path(__file__).parents[2] / 'tools/dataset_converters/make_demo_data.py')
sys.path.insert(0, str(TOOL.parent))

import make_demo_data as tool  # noqa: E402  # isort: skip

TRAIN, VAL, SIZE = 24, 10, 96


def make(out, *extra):
    """Run the tool in this process."""
    tool.main([
        str(out), '--train',
        str(TRAIN), '--val',
        str(VAL), '--size',
        str(SIZE), '--workers', '1', *extra
    ])
    return out


def contents(folder):
    """The bytes of every file below a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def read_tags(folder):
    """The class list and the tags of each image."""
    header, *lines = (folder / 'image_labels.txt').read_text().splitlines()
    assert header.startswith('# ')
    entries = [line.split(': ') for line in lines]
    return (header[2:].split(','), {
        name: tags.split(', ')
        for name, tags in entries
    })


@pytest.fixture(autouse=True)
def keep_signal_handler():
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp('data') / 'demo')


def test_layout(folder):
    names = {
        'trainaug': [f'train_{i:06d}' for i in range(TRAIN)],
        'val': [f'val_{i:06d}' for i in range(VAL)]
    }
    expected = {'image_labels.txt', 'parameters.json'}
    for split, split_names in names.items():
        image_list = f'ImageSets/Segmentation/{split}.txt'
        assert (folder / image_list).read_text().split() == split_names
        expected.add(image_list)
        expected |= {f'JPEGImages/{name}.jpg' for name in split_names}
    # Training images have no mask at all.
    expected |= {f'SegmentationClassAug/{name}.png' for name in names['val']}
    assert set(contents(folder)) == expected


def test_tags_are_one_to_three_of_the_classes(folder):
    classes, tags = read_tags(folder)
    assert tuple(classes) == tool.CLASSES
    assert list(tags) == [f'train_{i:06d}' for i in range(TRAIN)]
    for found in tags.values():
        assert 1 <= len(found) <= 3
        assert len(set(found)) == len(found)
        assert set(found) <= set(classes)
    assert {tag for found in tags.values() for tag in found} == set(classes)


def test_images_vary_in_size_and_masks_fit(folder):
    shapes = set()
    for path in sorted((folder / 'JPEGImages').iterdir()):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image.dtype == np.uint8 and image.shape[2] == 3
        assert max(image.shape[:2]) == SIZE
        assert min(image.shape[:2]) >= SIZE * 3 // 4
        shapes.add(image.shape[:2])
        mask_path = folder / 'SegmentationClassAug' / f'{path.stem}.png'
        assert mask_path.exists() == path.stem.startswith('val')
        if mask_path.exists():
            mask = cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED)
            assert mask.dtype == np.uint8
            assert mask.shape == image.shape[:2]
            assert set(np.unique(mask)) <= set(range(6))
            assert 0.02 < (mask > 0).mean() < 0.8
    assert len(shapes) > 5


def test_mask_shows_exactly_the_tagged_objects():
    counts = []
    for index in range(20):
        rng = np.random.default_rng([5, index])
        _, mask, tags = tool.draw_scene(rng, SIZE)
        shown = [tool.CLASSES[k - 1] for k in np.unique(mask) if k]
        assert sorted(shown) == tags
        counts.append(len(tags))
        # Each is large enough to be seen.
        assert min((mask == k).sum() for k in np.unique(mask)) > 40
    assert set(counts) == {1, 2, 3}


def test_bytes_do_not_depend_on_the_number_of_workers(folder, tmp_path):
    parallel = make(tmp_path / 'demo', '--workers', '2')
    assert contents(parallel) == contents(folder)


def test_images_do_not_depend_on_the_number_of_images(folder, tmp_path):
    fewer = make(tmp_path / 'demo', '--train', '3', '--val', '2')
    known = contents(folder)
    images = {
        name: data
        for name, data in contents(fewer).items()
        if name.endswith(('.jpg', '.png'))
    }
    assert len(images) == 7
    assert all(known[name] == data for name, data in images.items())


def test_another_seed_gives_other_images(folder, tmp_path):
    other = make(tmp_path / 'demo', '--seed', '1')
    name = 'JPEGImages/train_000000.jpg'
    assert contents(other)[name] != contents(folder)[name]


def test_complete_folder_is_left_as_it_is(tmp_path, capsys):
    out = make(tmp_path / 'demo', '--train', '2', '--val', '1')
    times = [path.stat().st_mtime_ns for path in sorted(out.rglob('*'))]
    capsys.readouterr()
    make(out, '--train', '2', '--val', '1')
    assert 'is complete' in capsys.readouterr().out
    assert [path.stat().st_mtime_ns
            for path in sorted(out.rglob('*'))] == times


def test_different_data_is_refused_and_replaced_on_demand(tmp_path):
    out = make(tmp_path / 'demo', '--train', '2', '--val', '1')
    before = contents(out)
    with pytest.raises(SystemExit, match="'train': 2.*--overwrite"):
        make(out, '--train', '3', '--val', '1')
    assert contents(out) == before
    make(out, '--train', '3', '--val', '1', '--overwrite')
    assert json.loads((out / 'parameters.json').read_text())['train'] == 3
    assert len(list((out / 'JPEGImages').iterdir())) == 4
    assert [path.name for path in tmp_path.iterdir()] == ['demo']


def test_missing_file_is_noticed(tmp_path):
    out = make(tmp_path / 'demo', '--train', '2', '--val', '1')
    (out / 'JPEGImages' / 'train_000001.jpg').unlink()
    with pytest.raises(SystemExit, match='has lost some of its files'):
        make(out, '--train', '2', '--val', '1')


@pytest.mark.parametrize('extra', [(), ('--overwrite', )])
def test_foreign_folder_is_never_replaced(tmp_path, extra):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(SystemExit, match='is no demo data set'):
        make(tmp_path, *extra)
    assert contents(tmp_path) == {'thesis.tex': b'years of work'}


def test_empty_folder_is_filled(tmp_path):
    out = tmp_path / 'demo'
    out.mkdir()
    make(out, '--train', '2', '--val', '1')
    assert (out / 'parameters.json').is_file()


def test_failure_leaves_nothing(tmp_path, monkeypatch):

    def fail(*args):
        raise OSError('disk full')

    monkeypatch.setattr(tool, 'write', fail)
    with pytest.raises(OSError, match='disk full'):
        make(tmp_path / 'demo')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('kill, number, workers, leaves', [
    (os.kill, signal.SIGTERM, '1', 0),
    (os.kill, signal.SIGTERM, '2', 0),
    (os.killpg, signal.SIGTERM, '2', 0),
    (os.killpg, signal.SIGKILL, '2', 1),
])
def test_killed_run_leaves_no_half_data_set(tmp_path, kill, number, workers,
                                            leaves):
    out = tmp_path / 'demo'
    process = subprocess.Popen(
        [sys.executable, TOOL, out, '--train', '100000', '--workers', workers],
        stdout=subprocess.PIPE,
        start_new_session=True)
    while not any(tmp_path.glob('.demo.*/new/JPEGImages/*9.jpg')):
        assert process.poll() is None
        time.sleep(0.01)
    kill(process.pid, number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not out.exists()
    # Nobody can clean up after SIGKILL; what is left has another name.
    rest = list(tmp_path.iterdir())
    assert len(rest) == leaves
    assert all(path.name.startswith('.demo.') for path in rest)


@pytest.mark.parametrize('option, value', [('--train', '0'), ('--val', '-1'),
                                           ('--size', '64'),
                                           ('--workers', '0')])
def test_bad_numbers_are_refused(tmp_path, option, value, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args([str(tmp_path), option, value])
    assert 'must be at least' in capsys.readouterr().err


def test_unwritable_file_is_named(tmp_path):
    path = tmp_path / 'missing' / 'image.jpg'
    with pytest.raises(OSError, match='missing/image.jpg could not be'):
        tool.write(path, np.zeros((4, 4, 3), np.uint8))
