# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import sys

import numpy as np
import pytest
from PIL import Image

from .broken_folder import (BROKEN_TRAIN, BROKEN_VAL, TRAIN_LIST, VAL_LIST,
                            write_broken)
from .run_tool import ROOT

sys.path.insert(0, str(ROOT / 'tools/analysis_tools'))

import check_dataset  # noqa: E402  # isort: skip

KEPT_TRAIN = [name for name in TRAIN_LIST if name not in BROKEN_TRAIN]
KEPT_VAL = [name for name in VAL_LIST if name not in BROKEN_VAL]
FIXED = [
    'train_dataloader.dataset.ann_file=lists/train.fixed.txt',
    'val_dataloader.dataset.ann_file=lists/val.fixed.txt'
]
UNUSED = 'lines of the label file without an image'
BLUE = (31, 119, 180)  # of the bars


@pytest.fixture
def config(tmp_path):
    return write_broken(tmp_path)


def run(config, *args):
    return check_dataset.main([str(config), '--workers', '2', *args])


def check(config, *args, split='train'):
    """Check one of the data sets, and read the JSON about it."""
    path = config.with_name('found.json')
    run(config, '--json', str(path), '--split', split, *args)
    return json.loads(path.read_text())['splits'][split]


def change(config, *replacements):
    text = config.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)


def kinds(found, fatal=None):
    """List the names of each kind of finding."""
    names = {}
    for finding in found['findings']:
        if fatal in (None, finding['fatal']):
            names.setdefault(finding['kind'], []).append(finding['name'])
    return names


def messages(found, kind):
    return [of['message'] for of in found['findings'] if of['kind'] == kind]


def files(folder):
    return {
        path: path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def test_training(config):
    found = check(config)
    assert (found['images'], found['usable']) == (14, 11)
    assert kinds(found, True) == {
        'missing images': ['gone'],
        'unreadable images': ['cut'],
        'images without a line in the label file': ['noline']
    }
    assert kinds(found, False) == {
        'images without any tag': ['plain'],
        'images smaller than 32 pixels': ['noline', 'tiny'],
        'images whose mask shows a class without a tag': ['untagged'],
        'images with a tag that is not in the mask': ['unshown'],
        'classes without images': [''],
        'classes with 1 to 4 training images': ['']
    }
    assert found['classes'] == dict(cat=8, cow=0, dog=3)
    assert found['heights'] == [30, 40, 60]
    assert found['widths'] == [33, 50, 55]


def test_validation(config):
    found = check(config, split='val')
    assert (found['images'], found['usable']) == (5, 2)
    assert kinds(found, True) == {
        'missing masks': ['nomask'],
        'wrong masks': ['scaled', 'seven']
    }
    # nothing tells how well the network finds dogs
    assert kinds(found, False) == {'classes without images': ['']}
    text = '\n'.join(of['message'] for of in found['findings'])
    assert '[7]' in text and '(20, 25)' in text
    # 'cat0' has a line in the label file, 'good' is told by its mask
    assert found['classes'] == dict(cat=2, cow=1, dog=0)


def test_output(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '120')
    before = files(tmp_path)
    assert run(config) == 1
    assert files(tmp_path) == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == ('The data cannot be used to train: '
                         'train: images without a line in the label file: 1; '
                         'train: missing images: 1; '
                         'train: unreadable images: 1; '
                         'val: missing masks: 1; val: wrong masks: 2.')
    rows = [[cell.strip() for cell in line.strip('│').split('│')]
            for line in lines if '│' in line]
    for row in (['images', '14', '5'
                 ], ['heights: min, median, max', '30, 40, 60',
                     '40, 40, 40'], ['unreadable images', '1', '0'],
                ['images that are trained on, too', '0', '1']):
        assert row in rows
    assert rows[-3:] == [['cat', '8', '2'], ['dog', '3', '0'],
                         ['cow', '0', '1']]
    (tmp_path / 'lists/train.txt').write_text('a\nb\nc\nd\ne\n')
    assert run(config, '--split', 'train') == 1
    out = capsys.readouterr().out
    assert 'train: fatal: missing images: 5\n' in out
    assert out.count('no such image') == 3
    assert '... and 2 more' in out


def test_lines_without_an_image(config, tmp_path):
    """Notice lost photos, also if a folder is the list."""
    change(config, ("ann_file='lists/train.txt'", "ann_file=''"))
    with (tmp_path / 'image_labels.txt').open('a') as file:
        file.write('lost.jpg: dog\n')
    found = check(config)
    assert kinds(found, False)[UNUSED] == ['gone', 'lost.jpg']
    assert messages(found, UNUSED)[1] == (
        f"{tmp_path}/image_labels.txt: 'lost.jpg' is not in {tmp_path}/images."
        ' Correct the name, add the image, or remove the line.')
    # the images of the other data set may be in a folder of their own
    (tmp_path / 'other').mkdir()
    (tmp_path / 'images/cat0.jpg').rename(tmp_path / 'other/lost.png')
    change(config, ("ann_file='lists/val.txt',\n        data_prefix=dict("
                    "img_path='images'", "data_prefix=dict(img_path='other'"))
    assert kinds(check(config))[UNUSED] == ['cat0', 'gone']


def test_the_same_names_in_other_folders_are_other_images(config, capsys):
    run(config, '--cfg-options',
        'val_dataloader.dataset.data_prefix.img_path=masks')
    assert 'trained on, too' not in capsys.readouterr().out


def test_wrong_masks_to_train_on_are_no_obstacle(config):
    found = check(config, '--cfg-options',
                  'train_dataloader.dataset.ann_file=lists/val.txt')
    assert kinds(found, True) == {
        'images without a line in the label file':
        ['good', 'nomask', 'scaled', 'seven']
    }
    assert kinds(found)['wrong masks'] == ['scaled', 'seven']


def test_all_wrong_lines_of_the_label_file(config, tmp_path):
    path = tmp_path / 'image_labels.txt'
    path.write_text(path.read_text() + 'tiny: cat\ndog\n'
                    'elsewhere: dgo, caat\n')
    found = check(config)
    text = '\n'.join(messages(found, 'problems with the label file'))
    for part in ("'tiny' stands in line 11 already", "found 'dog', expected",
                 "'dgo': did you mean 'dog'?", "'caat': did you mean 'cat'?"):
        assert part in text
    # Everything else is examined nevertheless.
    assert (found['images'], found['usable']) == (14, 11)
    assert found['classes'] == dict(cat=8, cow=0, dog=3)


def test_images_that_differ_only_in_their_suffix(config, tmp_path):
    """Examine the other images, and train on these."""
    for name in ('cat0', 'cat1'):
        (tmp_path / f'images/{name}.png').touch()
    found = check(config)
    assert (found['images'], found['usable']) == (12, 9)
    text = '\n'.join(messages(found, 'problems with the image list'))
    assert "'cat0.jpg' and 'cat0.png' differ" in text
    assert "'cat1.jpg' and 'cat1.png' differ" in text
    assert run(config, '--fix', '--split', 'train') == 0


@pytest.mark.parametrize('label_file, option, kind, text', [
    (None, '', 'problems with the label file', 'no such label file'),
    ('', 'label_file=', 'problems with the classes', 'lists no classes'),
    ('cat: dog\n', '', 'problems with the classes', 'lists no classes'),
    ('# cat,cat\n', '', 'problems with the label file', 'listed twice'),
    ('# cat\n', 'metainfo.classes=cat,dog', 'problems with the classes',
     "Put 'background' first"),
])
def test_classes(config, tmp_path, label_file, option, kind, text):
    """Examine everything else nevertheless."""
    path = tmp_path / 'image_labels.txt'
    path.unlink()
    if label_file is not None:
        path.write_text(label_file)
    if option:
        option = ['--cfg-options', f'train_dataloader.dataset.{option}']
    found = check(config, *option)
    wrong, = messages(found, kind)
    assert text in wrong
    assert kinds(found)['unreadable images'] == ['cut']
    assert found['images'] == 14
    assert run(config, '--fix', '--split', 'train', *option) == 1


@pytest.mark.parametrize('content, text', [('', 'names no image'),
                                           (None, 'no such image list')])
def test_no_images(config, tmp_path, content, text):
    path = tmp_path / 'lists/train.txt'
    path.unlink() if content is None else path.write_text(content)
    found = check(config)
    assert text in messages(found, 'problems with the image list')[0]
    assert set(kinds(found)) == {'problems with the image list', UNUSED}
    assert (found['heights'], found['usable']) == (None, 0)
    assert run(config, '--fix', '--split', 'train') == 1


def test_classes_of_a_selection(config):
    """Accept tags of classes that metainfo leaves out."""
    dataset = 'train_dataloader.dataset'
    found = check(config, '--cfg-options',
                  f'{dataset}.type=PascalVOCWeakDataset',
                  f'{dataset}.metainfo.classes=background,cat')
    assert found['classes'] == dict(cat=8)
    assert 'problems with the label file' not in kinds(found)


def test_masks_that_are_loaded_from_nowhere(config):
    masks = ", seg_map_path='masks'"
    change(config, (masks, ''))
    found = check(config, split='val')
    assert 'problems with the folder of masks' in kinds(found, True)
    change(config, (", dict(type='LoadMask')", ''))
    found = check(config, split='val')
    assert kinds(found, True) == {} and found['usable'] == 5


def test_fix(config, tmp_path, capsys):
    before = files(tmp_path)
    assert run(config, '--fix') == 0
    out = capsys.readouterr().out
    assert f'Train with --cfg-options {" ".join(FIXED)}\n' in out
    assert out.splitlines()[-1] == (
        'With the fixed lists, the data can be used to train. Warnings: 8.')
    for split, kept in (('train', KEPT_TRAIN), ('val', KEPT_VAL)):
        text = ''.join(f'{name}\n' for name in kept)
        before[tmp_path / f'lists/{split}.fixed.txt'] = text.encode()
    assert files(tmp_path) == before
    assert run(config, '--cfg-options', *FIXED) == 0


def test_fix_what_has_no_list(config, tmp_path, capsys):
    assert run(config, '--split', 'train', '--fix', '--cfg-options',
               'train_dataloader.dataset.ann_file=') == 0
    names = (tmp_path / 'train.fixed.txt').read_text().split()
    assert names == sorted(KEPT_TRAIN)  # 'good' has no line in the label file
    option = 'train_dataloader.dataset.ann_file=train.fixed.txt'
    assert option in capsys.readouterr().out


def test_nothing_left_and_nothing_to_fix(config, tmp_path, capsys):
    (tmp_path / 'lists/val.txt').write_text('good\n')
    assert run(config, '--fix', '--split', 'val') == 0
    assert 'none written' in capsys.readouterr().out
    for path in (tmp_path / 'images').iterdir():
        path.write_bytes(b'')
    assert run(config, '--fix', '--split', 'train') == 1
    out = capsys.readouterr().out
    assert 'none written' in out and 'Train with' not in out
    assert not list((tmp_path / 'lists').glob('*fixed*'))


def test_plot(config, tmp_path, capsys):
    """Put the longest bar on top, with lengths in proportion."""
    path = tmp_path / 'check.png'
    run(config, '--plot', str(path), '--split', 'train')
    assert f'{path}: written.' in capsys.readouterr().out
    picture = np.asarray(Image.open(path).convert('RGB'))
    lengths = (picture == BLUE).all(2).sum(1)
    bars = lengths[np.flatnonzero(np.diff(lengths, prepend=0) > 20) + 2]
    assert bars[0] / bars[1] == pytest.approx(8 / 3, abs=0.1)
    assert len(bars) == 2


def test_other_data_sets(config, capsys):
    other = 'train_dataloader.dataset.type=BaseSegDataset'
    run(config, '--cfg-options', other)
    out = capsys.readouterr().out
    assert 'train: skipped: a BaseSegDataset.' in out
    assert 'val: fatal: missing masks: 1' in out
    with pytest.raises(SystemExit, match='nothing to check'):
        run(config, '--split', 'train', 'test', '--cfg-options', other)
    assert 'test: skipped: not in the config.' in capsys.readouterr().out
