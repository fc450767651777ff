# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmseg_afa.datasets import PascalVOCWeakDataset, read_label_file
from ..test_datasets.voc_folder import CLASSES, IMAGES, write_voc

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'tools/dataset_converters/image_labels.py'
LABELS = {name: tags for name, (_, _, tags) in IMAGES.items()}


def run(*args):
    """Run the command as a user does."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, args)],
        capture_output=True,
        text=True,
        env=environment)


@pytest.fixture
def main(monkeypatch):
    """The command in this process, which takes no time to start."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from image_labels import main
    return lambda *args: main([*map(str, args), '--workers', '1'])


def test_one_command_makes_what_training_needs(tmp_path):
    (write_voc(tmp_path) / 'image_labels.txt').unlink()
    process = run(tmp_path, '--workers', '2')
    assert process.returncode == 0, process.stderr
    path = tmp_path / 'image_labels.txt'
    assert f'{path}: 3 images, 3 tags.' in process.stdout
    assert read_label_file(str(path)) == (CLASSES[1:], LABELS)
    assert len(PascalVOCWeakDataset(data_root=str(tmp_path))) == 3


def test_a_broken_mask_is_named_without_a_traceback(tmp_path):
    write_voc(tmp_path)
    before = (tmp_path / 'image_labels.txt').read_bytes()
    mask = tmp_path / 'SegmentationClassAug/2007_000002.png'
    mask.write_bytes(mask.read_bytes()[:60])
    process = run(tmp_path, '--workers', '2')
    assert process.returncode == 1
    assert f'{mask}: cannot be decoded' in process.stderr
    assert 'Traceback' not in process.stderr
    assert (tmp_path / 'image_labels.txt').read_bytes() == before


def test_masks_and_xml_agree(tmp_path, main):
    write_voc(tmp_path)
    main(tmp_path, '--out', 'a.txt')
    main(tmp_path, '--out', tmp_path / 'b.txt', '--from', 'xml')
    text = (tmp_path / 'a.txt').read_text()
    assert text == (tmp_path / 'b.txt').read_text()
    assert text == (tmp_path / 'image_labels.txt').read_text()


def test_several_lists_keep_their_order(tmp_path, main):
    write_voc(tmp_path)
    (tmp_path / 'a.txt').write_text('2007_000002\n')
    (tmp_path / 'b.txt').write_text('2007_000001\n2007_000002\n')
    main(tmp_path, '--list', 'a.txt', 'b.txt')
    _, labels = read_label_file(str(tmp_path / 'image_labels.txt'))
    assert list(labels) == ['2007_000002', '2007_000001']


def test_own_classes_and_folder(tmp_path, main):
    write_voc(tmp_path)
    (tmp_path / 'SegmentationClassAug').rename(tmp_path / 'masks')
    classes = [f'c{i}' for i in range(1, 21)]
    main(tmp_path, '--folder', 'masks', '--classes', ','.join(classes))
    found, labels = read_label_file(str(tmp_path / 'image_labels.txt'))
    assert found == tuple(classes)
    assert labels['2007_000001'] == ('c8', 'c15')


def test_coco_classes(tmp_path, main):
    write_voc(tmp_path)
    main(tmp_path, '--classes', 'coco')
    classes, labels = read_label_file(str(tmp_path / 'image_labels.txt'))
    assert len(classes) == 80
    assert labels['2007_000002'] == ('stop sign', )  # number 12


def test_masks_with_other_values(tmp_path, main):
    write_voc(tmp_path)
    with pytest.raises(SystemExit, match=r'001.png: found the values \[8, 15'):
        main(tmp_path, '--classes', 'cat,dog')


def test_missing_files(tmp_path, main):
    write_voc(tmp_path, masks=False)
    with pytest.raises(SystemExit, match='3 of 3 files are missing: '):
        main(tmp_path)
    with pytest.raises(SystemExit, match='train.txt: no such image list'):
        main(tmp_path, '--list', 'train.txt')


@pytest.mark.parametrize('text, message', [
    ('<annotation><object><name>kat</name></object></annotation>',
     "the tag 'kat' is no class: did you mean 'cat'"),
    ('<annotation><object><name>cat</name>', 'no XML file, or a damaged one'),
    ('', 'no XML file, or a damaged one'),
    ('<!DOCTYPE a [<!ENTITY b "cat">]><annotation><object><name>&b;</name>'
     '</object></annotation>', 'has a document type declaration'),
])
def test_bad_xml(tmp_path, main, text, message):
    write_voc(tmp_path)
    (tmp_path / 'Annotations/2007_000002.xml').write_text(text)
    with pytest.raises(SystemExit, match='2007_000002.xml: ' + message):
        main(tmp_path, '--from', 'xml')


def test_wrong_number_of_workers(tmp_path, main, capsys):
    with pytest.raises(SystemExit):
        main(tmp_path, '--workers', '0')
    assert '0 must be at least 1' in capsys.readouterr().err
