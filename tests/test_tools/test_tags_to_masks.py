# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run the one command on data sets as users have them, as processes."""
import csv
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_afa.datasets import read_label_file
from tests.test_reference.reference import ROOT
from tools import corrections, tags_to_masks
from tools.corrections import UserError

COLOURS = dict(cat=(40, 40, 220), dog=(220, 60, 40))
FEW = ['--weights', 'none', '--iters', '10', '--crop', '64']


def write_photo(path, tags, seed=0):
    """Write noise with a square in the colour of each tag."""
    rng = np.random.default_rng(seed)
    photo = rng.integers(90, 160, (64, 64, 3), np.uint8)
    for i, tag in enumerate(tags):
        photo[16:40, 4 + 30 * i:28 + 30 * i] = COLOURS[tag]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), photo)


def run(folder, *arguments, status=0):
    """Run the command in a folder; return its output."""
    command = [sys.executable, ROOT / 'tools/tags_to_masks.py', *arguments]
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    assert done.returncode == status, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope='module')
def pets(tmp_path_factory):
    """Train on folders, one of which shows nothing."""
    folder = tmp_path_factory.mktemp('pets')
    for tag in ('cat', 'dog', 'good'):
        for i in range(6):
            write_photo(folder / f'photos/{tag}/{i}.jpg',
                        [tag] if tag in COLOURS else [], i)
    (folder / 'photos/good/broken.jpg').write_bytes(b'')
    command = ('photos', '--tags', 'photos', '--normal', 'good', '--out',
               'run', *FEW)
    return folder, command, run(folder, *command)


def test_folders_with_a_normal_class(pets):
    folder, _, output = pets
    out = folder / 'run'
    steps = re.findall(r'^\[(\d)/7\] (\w+): ', output, re.M)
    assert [number for number, _ in steps] == list('1234567')
    assert '18 can be read' in output and 'broken.jpg: cannot be' in output
    classes, labels = read_label_file(str(out / 'image_labels.txt'))
    assert classes == ('cat', 'dog') and labels['good/0'] == ()
    val = (out / 'val.txt').read_text().split()
    assert sorted(name.split('/')[0] for name in val) == ['cat', 'dog', 'good']
    for name in ('cat/0', 'good/5'):
        mask = np.array(Image.open(out / f'masks/seg/{name}.png'))
        assert mask.shape == (64, 64) and mask.max() <= 2
        mask = np.array(Image.open(out / f'masks_with_tags/seg/{name}.png'))
        assert set(np.unique(mask)) <= ({0, 1} if labels[name] else {0})
    assert (out / 'masks/review.html').exists()
    report = (out / 'report.md').read_text()
    assert '| cat | 5 |' in report and 'review.html' in report
    for line in output.splitlines():
        if line.startswith('Warning: '):
            assert line[9:] in report


def test_the_same_command_resumes(pets):
    folder, command, _ = pets
    final = folder / 'run/training/iter_10.pth'
    (folder / 'run/masks/seg/cat/0.png').unlink()
    write_photo(folder / 'photos/new.jpg', [])
    before = final.stat().st_mtime_ns
    output = run(folder, *command)
    assert '[1/7]' not in output
    assert "1 new photos get masks, and are not trained on: 'new'" in output
    assert (folder / 'run/masks/seg/new.png').exists()
    assert final.stat().st_mtime_ns == before
    assert (folder / 'run/masks/seg/cat/0.png').exists()


def test_other_settings_are_refused(pets):
    folder, command, _ = pets
    output = run(folder, *command[:-1], '96', status=1)
    assert output.strip().endswith(
        "holds a run with another --crop: '64'. Choose another --out, or "
        'remove the folder.')


def test_background_scores_after_a_look(pets):
    folder, command, _ = pets
    assert (folder / 'run/training/background_scores.png').exists()
    run(folder, *command, '--bkg-scores', '0.7', '0.5')
    text = (folder / 'run/config_0.7_0.5.py').read_text()
    assert 'bkg_high=0.7,' in text and 'bkg_low=0.5,' in text
    log, = (folder / 'run/training_0.7_0.5').glob('2*/*.log')
    assert 'resumed epoch: 0, iter: 5' in log.read_text()
    assert (folder / 'run/masks_0.7_0.5/seg/cat/0.png').exists()
    assert (folder / 'run/report_0.7_0.5.md').exists()


@pytest.mark.slow
def test_names_with_tags(tmp_path):
    shown = [[], ['cat'], ['dog'], ['cat', 'dog']]
    for i in range(20):
        digits = ' '.join(str(int(tag in shown[i % 4])) for tag in COLOURS)
        write_photo(tmp_path / f'photos/t{i}-[{digits}].png', shown[i % 4], i)
    run(tmp_path, 'photos', '--tags', 'photos', '--from', 'names', '--pattern',
        '{stem}-[{onehot}]', '--classes', 'cat,dog', '--out', 'run', *FEW)
    _, labels = read_label_file(str(tmp_path / 'run/image_labels.txt'))
    assert labels['t3-[1 1]'] == ('cat', 'dog') and labels['t4-[0 0]'] == ()
    assert len([*(tmp_path / 'run/masks/seg').iterdir()]) == 20


@pytest.mark.slow
def test_a_tag_on_every_photo_and_corrections(tmp_path):
    """The failure is named; decisions and masks enter a second run."""
    rows = [('image', 'tags')]
    for i in range(12):
        tags = ['cat', 'dog'][:1 + i % 2]
        write_photo(tmp_path / f'photos/{i}.jpg', tags, i)
        rows.append((f'{i}.jpg', ';'.join(tags)))
    write_photo(tmp_path / 'photos/untagged.jpg', [])
    with open(tmp_path / 'tags.csv', 'w', newline='') as file:
        csv.writer(file).writerows(rows)
    first = ('photos', '--tags', 'tags.csv', *FEW)
    output = run(tmp_path, *first, '--out', 'run')
    last = output.split('[7/7]')[1]
    assert 'cat: on at least 95 % of the training photos' in last
    assert (tmp_path / 'run/masks/seg/untagged.png').exists()
    assert not (tmp_path / 'run/masks_with_tags/seg/untagged.png').exists()

    decisions = tmp_path / 'run/masks_with_tags/decisions.csv'
    decisions.write_text('photo,mark,tags,mask\n'
                         '0,good,cat,seg/0.png\n'
                         '1,wrong tags,"cat, dog",seg/1.png\n'
                         '2,wrong tags,dog,seg/2.png\n'
                         '3,wrong mask,"cat, dog",seg/3.png\n')
    mask = np.zeros((64, 64), np.uint8)
    mask[16:40, 4:28] = 1
    (tmp_path / 'better').mkdir()
    cv2.imwrite(str(tmp_path / 'better/3.png'), mask)
    output = run(tmp_path, *first, '--out', 'run2', '--decisions', decisions,
                 '--trusted', 'better')
    assert '2 of them with trusted masks' in output
    _, labels = read_label_file(str(tmp_path / 'run2/image_labels.txt'))
    assert '1' not in labels and labels['2'] == ('dog', )
    copy = np.array(Image.open(tmp_path / 'run2/trusted/3.png'))
    assert np.array_equal(copy, mask)


@pytest.mark.parametrize('text, message', [
    ('photo,mark\n', r"decisions.csv:1: found \['photo', 'mark'\], expected"),
    ('photo,mark,tags,mask\na,bad,,\n', r"csv:2: unknown mark 'bad'. Write"),
    ('photo,mark,tags,mask\na,good,,seg/a.png\n', r'csv:2: no mask .*a.png'),
])
def test_wrong_decisions(tmp_path, text, message):
    path = tmp_path / 'decisions.csv'
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        corrections.read_decisions(path)


def test_wrong_masks(tmp_path):
    with pytest.raises(UserError, match='no such folder, or no mask'):
        corrections.masks_in(tmp_path)
    cv2.imwrite(str(tmp_path / 'b.png'), np.zeros((4, 6), np.uint8))
    masks = corrections.masks_in(tmp_path)
    for sizes, message in ((dict(a=(4, 6)), "b.png: no tagged photo 'b', as"),
                           (dict(b=(6, 4)), r'are \(4, 6\), those of the')):
        with pytest.raises(UserError, match=message):
            corrections.check_masks(masks, sizes, ['cat'])
    corrections.check_masks(masks, dict(b=(4, 6)), ['cat'])


@pytest.mark.parametrize('options, message', [
    (['--out', 'photos/run'], 'lies in the folder of the photos'),
    (['--bkg-scores', '0.2', '0.9'], 'found 0.2 0.9, expected HIGH LOW'),
    (['--tags', 'b.csv'], 'b.csv: no such file or folder'),
    (['--weights', 'w.pth'], 'w.pth: no such file'),
])
def test_options_that_are_refused_at_once(tmp_path, monkeypatch, options,
                                          message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    (tmp_path / 'tags.csv').touch()
    with pytest.raises(SystemExit, match=message):
        tags_to_masks.main(
            ['photos', '--tags', 'tags.csv', '--out', 'run', *options])
    assert not (tmp_path / 'run').exists()
