# Copyright (c) mmseg_afa contributors. All rights reserved.
"""tools/predict.py on real files."""
import csv
import errno
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

from mmseg_afa.apis import MaskFolder
from tests.conftest import DEMO
from tools.predict import main
from .run_tool import ROOT


def predict(checkpoint, out, *arguments):
    main([
        str(DEMO), checkpoint, '--out',
        str(out), '--device', 'cpu', *map(str, arguments)
    ])


def files(folder):
    """The content of all files, by their paths."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file() and path.name != 'records.jsonl'
    }


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


def test_broken_photo(checkpoint, photos, tmp_path):
    folder = tmp_path / 'photos'
    folder.mkdir()
    whole = (photos / 'a.jpg').read_bytes()
    (folder / 'a.jpg').write_bytes(whole)
    (folder / 'b.jpg').write_bytes(whole[:-100])
    out = tmp_path / 'out'
    with pytest.raises(SystemExit) as error:
        predict(checkpoint, out, folder)
    assert '1 photos could not be read' in str(error.value)
    assert 'b.jpg: the JPEG file is cut off' in str(error.value)
    assert [p.name for p in (out / 'seg').iterdir()] == ['a.png']
    assert len((out / 'images.csv').read_text().splitlines()) > 1
    # mended: the rest is predicted
    (folder / 'b.jpg').write_bytes(whole)
    predict(checkpoint, out, folder)
    a, b = (Image.open(out / f'seg/{name}.png') for name in 'ab')
    assert (np.array(a) == np.array(b)).all()


def test_nothing_but_broken_photos(checkpoint, tmp_path):
    photo = tmp_path / 'a.jpg'
    photo.write_bytes(b'no photo')
    with pytest.raises(SystemExit, match='1 photos could not be read'):
        predict(checkpoint, tmp_path / 'out', photo, '--format', 'cvat')
    table = (tmp_path / 'out/images.csv').read_text()
    assert len(table.splitlines()) == 1


def test_killed_and_started_again(checkpoint, tmp_path):
    """A killed process leaves whole files, and what follows makes the same
    ones as a run that was not killed."""
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
    # sums in the last bit depend on the number of threads
    environment = dict(
        os.environ,
        PYTHONPATH=str(ROOT),
        OMP_NUM_THREADS=str(torch.get_num_threads()))
    process = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, env=environment)
    journal = out / 'records.jsonl'
    while not (journal.exists()
               and len(journal.read_bytes().splitlines()) > 9):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = files(out)
    assert 20 < len(there) < len(files(expected))
    predict(checkpoint, out, folder, *options)
    assert files(out) == files(expected)


def test_full_disk(checkpoint, photos, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    add = MaskFolder.add

    def full(self, photo, *args):
        if photo.name == 'b':
            raise OSError(errno.ENOSPC, 'No space left on device')
        add(self, photo, *args)

    monkeypatch.setattr(MaskFolder, 'add', full)
    with pytest.raises(SystemExit, match='out: the disk is full. Make room'):
        predict(checkpoint, out, photos)
    monkeypatch.undo()
    predict(checkpoint, out, photos)
    assert len(list((out / 'seg').rglob('*.png'))) == 4


@pytest.mark.parametrize('arguments, message', [
    (['nowhere'], 'nowhere: no such photo, folder or list'),
    (['{photos}', '--tile', '100'], 'larger than the overlap'),
    (['{photos}', '--source', 'cam', '--tile', '512'], 'in tiles has seg'),
])
def test_bad_arguments(checkpoint, photos, tmp_path, arguments, message):
    arguments = [a.format(photos=photos) for a in arguments]
    with pytest.raises(SystemExit, match=message):
        predict(checkpoint, tmp_path / 'out', *arguments)


def test_another_run(checkpoint, photos, tmp_path):
    predict(checkpoint, tmp_path, photos / 'a.jpg')
    before = files(tmp_path)
    with pytest.raises(SystemExit, match='another run: unsure was 0.0'):
        predict(checkpoint, tmp_path, photos / 'a.jpg', '--unsure', 0.5)
    with pytest.raises(SystemExit, match='another run: config was'):
        predict(checkpoint, tmp_path, photos / 'a.jpg', '--cfg-options',
                'model.labeler.bkg_low=0.2')
    assert files(tmp_path) == before
