# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run tools/predict.py on real files."""
import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import DEMO
from tools.predict import main
from .run_tool import ROOT


def predict(checkpoint, out, *arguments, config=DEMO):
    main([
        str(config), checkpoint, '--out',
        str(out), '--device', 'cpu', *map(str, arguments)
    ])


def files(folder):
    """Read all files but hidden ones, by their paths in the folder."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob('[!.]*') if path.is_file()
    }


@pytest.fixture(scope='module')
def one_photo(checkpoint, photos, tmp_path_factory):
    """Predict one photo, with the name of a config that ships."""
    out = tmp_path_factory.mktemp('one') / 'out'
    predict(checkpoint, out, photos / 'a.jpg', config=DEMO.stem)
    return out


def test_masks_table_and_sheet(checkpoint, photos, tmp_path):
    out = tmp_path / 'out'
    sources = ['seg', 'refined_label']
    predict(checkpoint, out, photos, '--source', *sources, '--confidence',
            '--review', 2, '--unsure', 0.2)
    for source in sources:
        for path in photos.rglob('*.*'):
            name = path.relative_to(photos).with_suffix('.png')
            shape = cv2.imdecode(np.fromfile(path, np.uint8), 1).shape[:2]
            mask = Image.open(out / source / name)
            assert mask.mode == 'P' and mask.size == shape[::-1]
            confidence = Image.open(out / f'{source}_confidence' / name)
            assert confidence.mode == 'L' and confidence.size == shape[::-1]
            unsure = np.array(mask) == 255
            assert (np.array(confidence)[~unsure] >= 51).all()
    with open(out / 'images.csv', encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    area = {}
    for row in rows:
        key = row['photo'], row['source']
        area[key] = area.get(key, 0) + float(row['area'])
    assert len(area) == 8
    assert all(abs(total - 1) < 1e-4 for total in area.values())
    assert Image.open(out / 'review.png').width > 300


def test_pseudo_labels_of_training_images(checkpoint, photos, tmp_path):
    tags = tmp_path / 'labels.txt'
    tags.write_text('# a,b,c,d,e\na: b\nsub dir/c: a, e\nb:\n')
    names = tmp_path / 'train.txt'
    names.write_text('a\nsub dir/c\n')
    out = tmp_path / 'out'
    predict(checkpoint, out, photos, '--list', names, '--tags', tags)
    masks = sorted(p.relative_to(out) for p in out.rglob('*.png'))
    assert masks == [Path('seg/a.png'), Path('seg/sub dir/c.png')]
    assert set(np.unique(Image.open(out / 'seg/a.png'))) <= {0, 2}
    assert set(np.unique(Image.open(out / 'seg/sub dir/c.png'))) <= {0, 1, 5}
    with pytest.raises(SystemExit, match="labels.txt: no line for 1 of 4"):
        predict(checkpoint, tmp_path / 'other', photos, '--tags', tags)


def test_broken_photos(checkpoint, photos, tmp_path):
    folder, out = tmp_path / 'photos', tmp_path / 'out'
    folder.mkdir()
    whole = (photos / 'a.jpg').read_bytes()
    options = [folder, '--format', 'cvat', '--review', 1]
    for name in 'ab':
        (folder / f'{name}.jpg').write_bytes(whole[:-100])
    with pytest.raises(SystemExit, match='Skipped 2 photos that could not'):
        predict(checkpoint, out, *options)
    assert len((out / 'images.csv').read_text().splitlines()) == 1
    (folder / 'a.jpg').write_bytes(whole)
    with pytest.raises(SystemExit, match='b.jpg: cannot be decoded .cut off'):
        predict(checkpoint, out, *options)
    assert [p.name for p in (out / 'seg').iterdir()] == ['a.png']
    (folder / 'b.jpg').write_bytes(whole)
    predict(checkpoint, out, *options)
    a, b = (Image.open(out / f'seg/{name}.png') for name in 'ab')
    assert (np.array(a) == np.array(b)).all()
    assert (out / 'export/seg/cvat.zip').exists()


@pytest.mark.slow
def test_resume_of_a_killed_run(checkpoint, tmp_path):
    """Kill a process. The next run completes the same files."""
    rng = np.random.default_rng(0)
    folder = tmp_path / 'photos'
    folder.mkdir()
    for i in range(60):
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        size = (80, 48 + 4 * (i % 3))
        cv2.imwrite(str(folder / f'{i:02}.jpg'), cv2.resize(small, size))
    expected, out = tmp_path / 'expected', tmp_path / 'out'
    options = ('--confidence', '--batch-size', 4)
    predict(checkpoint, expected, folder, *options)
    command = [
        sys.executable, ROOT / 'tools/predict.py', DEMO, checkpoint, folder,
        '--out', out, '--device', 'cpu', *options
    ]
    # The last bit of a sum depends on the number of threads.
    environment = dict(
        os.environ,
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS=str(torch.get_num_threads()))
    process = subprocess.Popen(
        list(map(str, command)), cwd=tmp_path, env=environment)
    while len(list(out.glob('seg/[0-9]*.png'))) < 10:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 20 < len(files(out)) < len(files(expected))
    predict(checkpoint, out, folder, *options)
    assert files(out) == files(expected)


@pytest.mark.parametrize('arguments, message', [
    (['nowhere'], 'nowhere: no such photo, folder or list'),
    (['{photos}', '--source', 'cam', '--tile', '512'], 'in tiles has seg'),
    (['{photos}', '--source', 'affinity'], 'affinity.*refined_label'),
    (['{photos}', '--format', 'voc-server'], "images of VOC's test set"),
    (['{photos}', '--unsure', '60'], 'unsure: found 60.0, .*from 0 to 1'),
    (['{photos}', '--long-side', '0'], 'long_side: found 0, expected 1 or mo'),
    (['{photos}', '--tile', '131'], 'tile: found 131, expected 132'),
    (['{photos}', '--batch-size', '0'], 'batch_size: found 0, expected 1 or'),
    (['{photos}', '--review', '-3'], 'review: found -3, expected 0 or more'),
])
def test_bad_arguments(checkpoint, photos, tmp_path, arguments, message):
    """Refuse bad arguments before anything is predicted."""
    arguments = [a.format(photos=photos) for a in arguments]
    with pytest.raises(SystemExit, match=message):
        predict(checkpoint, tmp_path / 'out', *arguments)
    assert not list(tmp_path.rglob('*.png'))


@pytest.mark.parametrize('options, message', [
    (['--unsure', 0.5], 'another run. unsure was 0.0 and is 0.5'),
    (['--long-side', 50], 'another run. long_side was None and is 50'),
    (['--cfg-options', 'model.labeler.bkg_low=0.2'], 'another run. config'),
])
def test_masks_of_other_options(checkpoint, photos, one_photo, options,
                                message):
    before = files(one_photo)
    with pytest.raises(SystemExit, match=message):
        predict(checkpoint, one_photo, photos / 'a.jpg', *options)
    predict(checkpoint, one_photo, photos / 'a.jpg')
    assert files(one_photo) == before


def test_suffix_of_the_config(checkpoint, photos, tmp_path, capsys):
    """Name the images that are left out in the last line."""
    root = tmp_path / 'photos'
    root.mkdir()
    for name in ('a_sat.jpg', 'a_mask.png', 'b.heic', '._a_sat.jpg'):
        (root / name).write_bytes((photos / 'a.jpg').read_bytes())
    out = tmp_path / 'out'
    (out).mkdir()
    (out / '.DS_Store').touch()
    predict(checkpoint, out, root, '--cfg-options',
            'test_dataloader.dataset.img_suffix=_sat.jpg')
    assert [path.name for path in out.rglob('*.png')] == ['a.png']
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith('Warning: left out 2 images: ')
    assert 'a_mask.png' in last and 'b.heic' in last


@pytest.fixture(scope='module')
def segments(photos, tmp_path_factory):
    """Write the four quarters of each photo as an index map."""
    folder = tmp_path_factory.mktemp('segments')
    for path in photos.rglob('*.*'):
        shape = cv2.imdecode(np.fromfile(path, np.uint8), 0).shape
        rows, cols = np.indices(shape, np.uint8)
        quarters = 2 * (rows >= shape[0] // 2) + (cols >= shape[1] // 2)
        out = folder / path.relative_to(photos).with_suffix('.png')
        out.parent.mkdir(exist_ok=True)
        Image.fromarray(quarters.astype(np.uint8)).save(out)
    return folder


def test_segments(checkpoint, photos, segments, tmp_path):
    """Labels too. The confidence is the network's."""
    out, plain = tmp_path / 'out', tmp_path / 'plain'
    sources = ['--source', 'seg', 'refined_label', '--confidence']
    predict(checkpoint, plain, photos, *sources)
    options = [*sources, '--refine', 'segments', '--segments', segments]
    predict(checkpoint, out, photos, *options)
    changed = 0
    for path in plain.rglob('*.png'):
        before, after = (
            np.array(Image.open(folder / path.relative_to(plain)))
            for folder in (plain, out))
        if 'confidence' in str(path):
            assert (before == after).all()
            continue
        half = [n // 2 for n in before.shape]
        for rows in (slice(half[0]), slice(half[0], None)):
            for cols in (slice(half[1]), slice(half[1], None)):
                votes = np.bincount(before[rows, cols].ravel(), minlength=256)
                votes[255] = 0
                winner = votes.argmax() if votes.any() else 255
                assert (after[rows, cols] == winner).all()
        changed += (before != after).sum()
    assert changed
    there = files(out)
    predict(checkpoint, out, photos, *options)
    assert files(out) == there
    with pytest.raises(SystemExit, match="segments was .*'majority'.*'sepl'"):
        predict(checkpoint, out, photos, *options, '--segment-rule', 'sepl')
    file = segments / 'a.png'
    content = file.read_bytes()
    file.write_bytes((segments / 'b.png').read_bytes())
    with pytest.raises(SystemExit, match='another run. segments was'):
        predict(checkpoint, out, photos, *options)
    with pytest.raises(SystemExit, match=r'a.png: found shape \(64, 64\), th'):
        predict(checkpoint, tmp_path / 'c', photos, *options)
    file.write_bytes(content)


@pytest.mark.parametrize('options, message', [
    (['--segments', '.'], '--refine none, --segments .: write --refine seg'),
    (['--refine', 'segments'], '--refine segments, --segments None: write'),
    (['--segment-rule', 'sepl'], '--refine none, --segments None: write'),
    (['--refine', 'segments', '--segments', '.'
      ], '4 of 4 photos have no segments. Add a.png or .json'),
])
def test_segments_that_do_not_fit(checkpoint, photos, tmp_path, options,
                                  message):
    with pytest.raises(SystemExit, match=message):
        predict(checkpoint, tmp_path / 'out', photos, *options)
    assert not (tmp_path / 'out').exists()
