# Copyright (c) mmseg_afa contributors. All rights reserved.
import sys

import pytest

from mmseg_afa.engine import launch
from .broken_folder import (BROKEN_TRAIN, BROKEN_VAL, TRAIN_LIST, VAL_LIST,
                            write_broken, write_mask)
from .run_tool import ROOT

sys.path.insert(0, str(ROOT / 'tools/analysis_tools'))

import check_dataset  # noqa: E402  # isort: skip
import dataset_findings  # noqa: E402  # isort: skip

KEPT = dict(
    train=[name for name in TRAIN_LIST if name not in BROKEN_TRAIN],
    val=[name for name in VAL_LIST if name not in BROKEN_VAL])
FIXED = [
    'train_dataloader.dataset.ann_file=lists/train.fixed.txt',
    'val_dataloader.dataset.ann_file=lists/val.fixed.txt'
]
FILES = 'problems with the label file or the image list'
NO_LINE = 'images without a line in the label file'
MASKS = 'missing or wrong masks'
UNUSED = 'lines of the label file without an image'
NO_LIST = 'train_dataloader.dataset.ann_file='


@pytest.fixture
def config(tmp_path):
    return write_broken(tmp_path)


def run(config, *args):
    return check_dataset.main([str(config), *args])


def check(config, *options, split='train'):
    """Examine the data sets of a config, and return one of them."""
    cfg = launch.read_config(str(config), list(options))
    splits = dataset_findings.open_splits(cfg)
    dataset_findings.check(splits)
    return splits[split]


def kinds(split, fatal):
    """List the names of each kind of finding."""
    names = {}
    for finding in split.findings:
        if finding.fatal == fatal:
            names.setdefault(finding.kind, []).append(finding.name)
    return names


def messages(split, kind):
    return '\n'.join(of.message for of in split.findings if of.kind == kind)


def files(folder):
    return {
        path: path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def test_training(config):
    split = check(config)
    assert len(split.paths) == 14
    assert kinds(split, True) == {
        'missing or unreadable images': ['cut', 'gone'],
        NO_LINE: ['noline']
    }
    assert kinds(split, False) == {
        'images without any tag': ['plain'],
        'images smaller than 32 pixels': ['noline', 'tiny'],
        'images whose mask and tags differ': ['unshown', 'untagged'],
        'classes with fewer than 5 images': ['', '']
    }
    assert split.images_of == dict(cat=8, cow=1, dog=4)


def test_trusted_masks(config, tmp_path):
    """Read them as masks of the validation, and name a wrong folder."""
    option = 'train_dataloader.dataset.trusted_masks=trusted'
    (tmp_path / 'trusted').mkdir()
    write_mask(tmp_path / 'trusted/cat1.png', 20, 25, ('cat', ))
    write_mask(tmp_path / 'trusted/dog.png', 60, 40, ('cat', ))
    split = check(config, option)
    assert kinds(split, True)[MASKS] == ['cat1']
    assert 'trusted/cat1.png' in messages(split, MASKS)
    differing = kinds(split, False)['images whose mask and tags differ']
    assert differing == ['dog', 'unshown', 'untagged']
    split = check(config, option[:-1])
    assert 'truste: 0 of 0 PNG files' in messages(split, FILES)


def test_validation(config):
    split = check(config, split='val')
    assert kinds(split, True) == {MASKS: ['nomask', 'scaled', 'seven']}
    assert kinds(split, False) == {
        'images that are trained on, too': ['cat0'],
        'classes that no mask shows': ['']
    }
    # The same names in other folders are other images.
    folder = 'val_dataloader.dataset.data_prefix.img_path=masks'
    other = kinds(check(config, folder, split='val'), False)
    assert 'images that are trained on, too' not in other
    assert '[7]' in messages(split, MASKS)
    assert '(20, 25)' in messages(split, MASKS)
    # 'cat0' has a line in the label file, 'good' is told by its mask
    assert split.images_of == dict(cat=2, cow=1, dog=0)


def test_classes_that_no_mask_shows(config, tmp_path):
    """Find masks of 0 and 255 alone, and tell of classes that lack."""
    options = 'val_dataloader.dataset.ann_file=lists/some.txt',
    listed = tmp_path / 'lists/some.txt'
    listed.write_text('good\n')
    found = check(config, *options, split='val')
    assert not kinds(found, True)
    assert messages(found, 'classes that no mask shows') == 'dog.'
    listed.write_text('plain\n')  # with a row of 255
    found = check(config, *options, split='val')
    assert kinds(found, True) == {'masks without any class': ['']}
    assert 'Where 255 stands for a class' in messages(
        found, 'masks without any class')


def test_output(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '120')
    before = files(tmp_path)
    assert run(config) == 1
    assert files(tmp_path) == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == ('The data cannot be used to train. Fatal problems: '
                         '6. Warnings: 9.')
    rows = [[cell.strip() for cell in line.strip('│').split('│')]
            for line in lines if '│' in line]
    assert rows == [['all', '14', '5'], ['cat', '8', '2'], ['cow', '1', '1'],
                    ['dog', '4', '0']]
    (tmp_path / 'lists/train.txt').write_text('a\nb\nc\nd\ne\n')
    assert run(config) == 1
    out = capsys.readouterr().out
    assert 'train: fatal: missing or unreadable images: 5\n' in out
    assert out.count('no such image') == 3 and '... and 2 more' in out
    run(config, '--all')
    assert capsys.readouterr().out.count('no such image') == 5


def test_lines_without_an_image(config, tmp_path):
    """Notice lost photos if a folder is the list."""
    with (tmp_path / 'image_labels.txt').open('a') as file:
        file.write('lost.jpg: dog\n')
    split = check(config, NO_LIST)
    assert kinds(split, False)[UNUSED] == ['gone', 'lost']
    assert "'lost' is in no data set of the config." in messages(split, UNUSED)
    # The images of the other data set may be in a folder of their own.
    (tmp_path / 'other').mkdir()
    (tmp_path / 'images/cat0.jpg').rename(tmp_path / 'other/lost.png')
    val = 'val_dataloader.dataset'
    split = check(config, NO_LIST, f'{val}.ann_file=',
                  f'{val}.data_prefix.img_path=other')
    assert kinds(split, False)[UNUSED] == ['cat0', 'gone']


def test_wrong_masks_to_train_on_are_no_obstacle(config):
    split = check(config, 'train_dataloader.dataset.ann_file=lists/val.txt')
    assert kinds(split, True) == {
        NO_LINE: ['good', 'nomask', 'scaled', 'seven']
    }
    assert kinds(split, False)[MASKS] == ['scaled', 'seven']


def test_all_wrong_lines_of_the_label_file(config, tmp_path):
    path = tmp_path / 'image_labels.txt'
    path.write_text(path.read_text() + 'tiny: cat\ndog\n'
                    'elsewhere: dgo, caat\n')
    split = check(config)
    for part in ("'tiny' stands in line 11 already", "found 'dog', expected",
                 "'dgo': did you mean 'dog'?", "'caat': did you mean 'cat'?"):
        assert part in messages(split, FILES)
    # Everything else is examined nevertheless.
    assert split.images_of == dict(cat=8, cow=1, dog=4)


def test_images_that_differ_only_in_their_suffix(config, tmp_path):
    """Examine the other images, and train on these."""
    (tmp_path / 'images/cat0.png').touch()
    split = check(config)
    assert "'cat0.jpg' and 'cat0.png' differ" in messages(split, FILES)
    assert len(split.paths) == 13


@pytest.mark.parametrize('label_file, option, text', [
    (None, (), 'no such label file'),
    ('a: dog\n', (), 'lists no classes'),
    ('# cat\n', ('train_dataloader.dataset.metainfo.classes=cat,dog', ),
     "Put 'background' first"),
    ('# cat,cow,dog\n', (), ''),
])
def test_classes(config, tmp_path, label_file, option, text):
    """Examine everything else nevertheless."""
    path = tmp_path / 'image_labels.txt'
    path.unlink()
    if label_file is not None:
        path.write_text(label_file)
    split = check(config, *option)
    assert text in messages(split, FILES)
    assert 'cut' in kinds(split, True)['missing or unreadable images']
    assert len(kinds(split, True)[NO_LINE]) == len(split.paths) == 14


@pytest.mark.parametrize('content, text', [('', 'names no image'),
                                           (None, 'no such image list')])
def test_no_images(config, tmp_path, content, text):
    path = tmp_path / 'lists/train.txt'
    path.unlink() if content is None else path.write_text(content)
    assert text in messages(check(config), FILES)
    assert run(config, '--fix') == 1
    assert not (tmp_path / 'lists/train.fixed.txt').exists()


def test_classes_of_a_selection(config):
    """Accept tags of classes that metainfo leaves out."""
    dataset = 'train_dataloader.dataset'
    split = check(config, f'{dataset}.type=PascalVOCWeakDataset',
                  f'{dataset}.metainfo.classes=background,cat')
    assert split.images_of == dict(cat=8)
    assert 'did you mean' not in messages(split, FILES)


def test_fix(config, tmp_path, capsys):
    before = files(tmp_path)
    run(config, '--fix')
    out = capsys.readouterr().out
    for (split, kept), option in zip(KEPT.items(), FIXED):
        text = ''.join(f'{name}\n' for name in kept)
        before[tmp_path / f'lists/{split}.fixed.txt'] = text.encode()
        assert f'Train with --cfg-options {option}\n' in out
    assert files(tmp_path) == before
    assert run(config, '--fix', '--cfg-options', *FIXED) == 0
    assert 'none written' in capsys.readouterr().out


def test_photos_that_are_not_tagged_yet(config, tmp_path):
    """Agree with training: photos of a folder are left out, of a list not."""
    photos = check(config, NO_LIST)
    fatal, warned = kinds(photos, True), kinds(photos, False)
    assert NO_LINE not in fatal and 'noline' in warned[NO_LINE]
    assert 'noline' not in photos.paths
    labels = tmp_path / 'image_labels.txt'
    labels.write_text(labels.read_text().split('\n')[0] + '\nx: cat\n')
    assert 'noline' in kinds(check(config, NO_LIST), True)[NO_LINE]


def test_fix_what_has_no_list(config, tmp_path, capsys):
    run(config, '--fix', '--cfg-options', NO_LIST)
    names = (tmp_path / 'train.fixed.txt').read_text().split()
    assert names == sorted(KEPT['train'])  # 'good' has no line
    option = 'train_dataloader.dataset.ann_file=train.fixed.txt'
    assert option in capsys.readouterr().out


def test_other_data_sets(config, capsys):
    other = 'train_dataloader.dataset.type=BaseSegDataset'
    run(config, '--cfg-options', other)
    out = capsys.readouterr().out
    assert 'train: skipped: a BaseSegDataset has no image-level labels.' in out
    assert 'val: fatal: missing or wrong masks: 3' in out
    with pytest.raises(SystemExit, match='nothing to check'):
        run(config, '--cfg-options', other, 'val_dataloader=None')
