# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import os
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest
from PIL import Image

from ..test_datasets.broken_folder import (BROKEN_TRAIN, BROKEN_VAL,
                                           TRAIN_LIST, VAL_LIST, write_broken)

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/analysis_tools/check_dataset.py'
spec = util.spec_from_file_location('check_dataset', TOOL)
check_dataset = util.module_from_spec(spec)
spec.loader.exec_module(check_dataset)

KEPT_TRAIN = [name for name in TRAIN_LIST[:-2] if name not in BROKEN_TRAIN]
KEPT_VAL = [name for name in VAL_LIST if name not in BROKEN_VAL]
FIXED = [
    'train_dataloader.dataset.ann_file=lists/train.fixed.txt',
    'val_dataloader.dataset.ann_file=lists/val.fixed.txt'
]


def run(config, *args):
    return check_dataset.main([str(config), '--workers', '1', *args])


def files(folder):
    return {
        path: path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def test_process(tmp_path):
    """All problems are told at once, by processes."""
    config = write_broken(tmp_path)
    before = files(tmp_path)
    result = subprocess.run([sys.executable, TOOL, config, '--workers', '2'],
                            stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE,
                            universal_newlines=True,
                            env=dict(
                                os.environ,
                                PYTHONPATH=str(ROOT),
                                COLUMNS='120'))
    assert result.returncode == 1, result.stderr
    assert 'Traceback' not in result.stderr
    assert result.stdout.splitlines()[-1] == (
        'The data cannot be used to train: '
        'train: problems with the image list: 2; '
        'train: missing images: 1; '
        'train: unreadable images: 1; '
        'train: images without a line in the label file: 1; '
        'val: missing masks: 1; '
        'val: unreadable masks or with values of no class: 1; '
        'val: masks of another size than the image: 1.')
    rows = [[cell.strip() for cell in line.strip('│').split('│')]
            for line in result.stdout.splitlines() if '│' in line]
    assert ['images', '14', '5'] in rows
    assert ['without anything fatal', '11', '2'] in rows
    assert ['heights: min, median, max', '30, 40, 60', '40, 40, 40'] in rows
    assert ['widths: min, median, max', '33, 50, 55', '50, 50, 50'] in rows
    assert ['unreadable images', '1', '0'] in rows
    assert ['classes without images', '1', '1'] in rows
    assert ['training images that are in here, too', '0', '1'] in rows
    assert rows[-3:] == [['cat', '8', '2'], ['dog', '3', '0'],
                         ['cow', '0', '1']]
    assert files(tmp_path) == before


def test_fix(tmp_path, capsys):
    config = write_broken(tmp_path)
    before = files(tmp_path)
    assert run(config, '--fix') == 0
    out = capsys.readouterr().out
    assert f'Train with --cfg-options {" ".join(FIXED)}\n' in out
    assert out.splitlines()[-1] == (
        'With the fixed lists, the data can be used to train. Warnings: 8.')
    written = {
        tmp_path / f'lists/{split}.fixed.txt':
        ''.join(f'{name}\n' for name in kept)
        for split, kept in (('train', KEPT_TRAIN), ('val', KEPT_VAL))
    }
    assert files(tmp_path) == {
        **before,
        **{
            path: text.encode()
            for path, text in written.items()
        }
    }
    assert run(config, '--cfg-options', *FIXED) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        'The data can be used to train. Warnings: 8.')


def test_fix_what_has_no_list(tmp_path, capsys):
    config = write_broken(tmp_path)
    assert run(config, '--split', 'train', '--fix', '--cfg-options',
               'train_dataloader.dataset.ann_file=') == 0
    names = (tmp_path / 'train.fixed.txt').read_text().split()
    assert 'good' not in names  # it has no line in the label file
    assert names == sorted(KEPT_TRAIN)
    option = 'train_dataloader.dataset.ann_file=train.fixed.txt'
    assert option in capsys.readouterr().out
    assert run(config, '--split', 'train', '--cfg-options', option) == 0


def test_what_no_list_can_fix(tmp_path, capsys):
    config = write_broken(tmp_path, unknown_tag=True)
    assert run(config, '--fix') == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        'With the fixed lists, the data cannot be used to train: '
        'train: problems with the label file: 2; '
        'val: problems with the label file: 2.')


def test_nothing_left(tmp_path, capsys):
    config = write_broken(tmp_path)
    for path in (tmp_path / 'images').iterdir():
        path.write_bytes(b'')
    assert run(config, '--fix', '--split', 'train') == 1
    out = capsys.readouterr().out
    assert 'train: no image is left: no list written.' in out
    assert 'Train with' not in out
    assert not (tmp_path / 'lists/train.fixed.txt').exists()


def test_nothing_to_fix(tmp_path, capsys):
    config = write_broken(tmp_path)
    (tmp_path / 'lists/val.txt').write_text('good\n')
    assert run(config, '--fix', '--split', 'val') == 0
    assert 'none written' in capsys.readouterr().out
    assert not (tmp_path / 'lists/val.fixed.txt').exists()


def test_json_and_plot(tmp_path, capsys):
    config = write_broken(tmp_path)
    assert run(config, '--json', str(tmp_path / 'check.json'), '--plot',
               str(tmp_path / 'check.png')) == 1
    found = json.loads((tmp_path / 'check.json').read_text())
    assert found['trainable'] is False
    train, val = found['splits']['train'], found['splits']['val']
    assert (train['images'], train['usable']) == (14, 11)
    assert (val['images'], val['usable']) == (5, 2)
    assert train['heights'] == [30, 40, 60]
    assert train['classes'] == dict(cat=8, cow=0, dog=3)
    assert sum(finding['fatal'] for finding in train['findings']) == 5
    assert len(train['findings']) == 12
    assert [(f['kind'], f['name']) for f in val['findings']
            ] == [('missing masks', 'nomask'),
                  ('unreadable masks or with values of no class', 'seven'),
                  ('masks of another size than the image', 'scaled'),
                  ('classes without images', ''),
                  ('training images that are in here, too', 'cat0')]
    assert Image.open(tmp_path / 'check.png').format == 'PNG'


def test_examples_are_few(tmp_path, capsys):
    config = write_broken(tmp_path)
    (tmp_path / 'lists/train.txt').write_text('a\nb\nc\nd\ne\n')
    assert run(config, '--split', 'train') == 1
    out = capsys.readouterr().out
    assert 'train: fatal: missing images: 5\n' in out
    assert out.count('no such image') == 3
    assert '... and 2 more' in out


def test_other_data_sets(tmp_path, capsys):
    config = write_broken(tmp_path)
    other = 'train_dataloader.dataset.type=BaseSegDataset'
    run(config, '--cfg-options', other)
    out = capsys.readouterr().out
    assert 'train: skipped: a BaseSegDataset.' in out
    assert 'val: fatal: missing masks: 1' in out
    with pytest.raises(SystemExit, match='nothing to check'):
        run(config, '--split', 'train', 'test', '--cfg-options', other)
    assert 'test: skipped: not in the config.' in capsys.readouterr().out


def test_no_config(tmp_path):
    with pytest.raises(SystemExit, match='no such config file'):
        run(tmp_path / 'nothing.py')
