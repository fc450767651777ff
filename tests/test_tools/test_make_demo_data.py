# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The demo data set: its layout, its contents, and that it is whole."""
import sys

import cv2
import numpy as np
import pytest

from mmseg_afa.datasets import read_label_file
from .run_tool import ROOT

sys.path.insert(0, str(ROOT / 'tools/demo'))

import make_demo_data as tool  # noqa: E402
import scenes  # noqa: E402

TRAIN, VAL, SIZE = 24, 10, 96


def make(out, *extra, train=TRAIN, val=VAL):
    tool.main([
        str(out), f'--train={train}', f'--val={val}', f'--size={SIZE}', *extra
    ])
    return out


def contents(folder):
    """Read every file below a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp('data') / 'demo')


def test_layout(folder):
    names = dict(
        trainaug=[f'train_{i:06d}' for i in range(TRAIN)],
        val=[f'val_{i:06d}' for i in range(VAL)])
    expected = {'image_labels.txt', 'parameters.json'}
    for split, split_names in names.items():
        image_list = f'ImageSets/Segmentation/{split}.txt'
        assert (folder / image_list).read_text().split() == split_names
        expected |= {f'JPEGImages/{name}.jpg' for name in split_names}
        expected.add(image_list)
    # Training images have no mask at all.
    masks = {f'SegmentationClassAug/{name}.png' for name in names['val']}
    assert set(contents(folder)) == expected | masks
    classes, tags = read_label_file(str(folder / 'image_labels.txt'))
    assert classes == tuple(scenes.CLASSES)
    assert list(tags) == names['trainaug']
    assert set().union(*tags.values()) == set(classes)
    for path in map(folder.joinpath, masks):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        image = cv2.imread(str(folder / f'JPEGImages/{path.stem}.jpg'))
        assert mask.shape == image.shape[:2] and max(mask.shape) == SIZE


def test_mask_shows_exactly_the_tagged_objects():
    counts = []
    for index in range(20):
        rng = np.random.default_rng([5, index])
        _, mask, tags = scenes.draw_scene(rng, SIZE)
        pixels = np.bincount(mask.flat, minlength=6)
        assert sorted(np.array(scenes.CLASSES)[pixels[1:] > 0]) == tags
        counts.append(len(tags))
        assert pixels[pixels > 0].min() > 40  # large enough to be seen
    assert set(counts) == {1, 2, 3}


def test_recipe():
    """Guard the scenes of the README's figures; see RECIPE."""
    drawn = [
        scenes.draw_scene(np.random.default_rng([0, 1, i]), 128)
        for i in range(30)
    ]
    pixels = sum(np.bincount(mask.flat, minlength=6) for _, mask, _ in drawn)
    means = [image.mean() for image, _, _ in drawn]
    assert scenes.RECIPE == 3
    assert pixels / pixels.sum() == pytest.approx(
        [0.7179, 0.0544, 0.0212, 0.094, 0.0735, 0.039], abs=2e-4)
    assert np.mean(means) == pytest.approx(127.97, abs=0.1)


def test_files_depend_on_the_seed_alone(folder, tmp_path):
    """Ignore the number of images."""
    known = contents(folder)
    fewer = contents(make(tmp_path / 'fewer', train=3, val=2))
    images = [name for name in fewer if name.endswith(('.jpg', '.png'))]
    assert len(images) == 7
    assert all(known[name] == fewer[name] for name in images)
    other = contents(make(tmp_path / 'other', '--seed', '1', train=1, val=1))
    name = 'JPEGImages/train_000000.jpg'
    assert other[name] != known[name]


def test_nothing_is_replaced(tmp_path, capsys):
    out = tmp_path / 'demo'
    out.mkdir()  # empty: to be filled
    make(out, train=2, val=1)
    before = out.stat().st_ino, contents(out)
    make(out, train=2, val=1)
    assert 'is complete' in capsys.readouterr().out
    with pytest.raises(SystemExit, match="'train': 3.*Remove it"):
        make(out, train=3, val=1)
    assert (out.stat().st_ino, contents(out)) == before
    with pytest.raises(SystemExit, match='Remove it'):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['demo']
