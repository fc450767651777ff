# Copyright (c) mmseg_afa contributors. All rights reserved.
from pathlib import Path

import numpy as np
import pytest

from mmseg_afa.datasets import PascalVOCWeakDataset, read_label_file
from ..test_datasets.voc_folder import CLASSES, IMAGES, write_voc

FOLDER = Path(__file__).parents[2] / 'tools/dataset_converters'
LABELS = {name: tags for name, (_, _, tags) in IMAGES.items()}


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Run the command in this process, and read the label file back."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from image_labels import main

    def make(*args):
        main([str(tmp_path), *map(str, args)])
        return read_label_file(str(tmp_path / 'image_labels.txt'))

    return make


@pytest.fixture
def make_csv(tmp_path, make):
    """Run the command on the text of a CSV file."""

    def make_csv(text, *args):
        (tmp_path / 'tags.csv').write_text(text, 'utf-8')
        return make('--from', 'csv', '--file', 'tags.csv', *args)

    return make_csv


@pytest.mark.parametrize('source', ['masks', 'xml'])
def test_one_command_makes_what_training_needs(tmp_path, make, source):
    (write_voc(tmp_path) / 'image_labels.txt').unlink()
    assert make('--from', source) == (CLASSES[1:], LABELS)
    assert len(PascalVOCWeakDataset(data_root=str(tmp_path))) == 3


def test_a_broken_mask_is_named_and_the_old_file_stays(tmp_path, make):
    write_voc(tmp_path)
    before = (tmp_path / 'image_labels.txt').read_bytes()
    mask = tmp_path / 'SegmentationClassAug/2007_000002.png'
    mask.write_bytes(mask.read_bytes()[:60])
    with pytest.raises(SystemExit, match=f'{mask}: cannot be decoded'):
        make()
    assert (tmp_path / 'image_labels.txt').read_bytes() == before


def test_own_classes_and_folder(tmp_path, make):
    write_voc(tmp_path)
    (tmp_path / 'SegmentationClassAug').rename(tmp_path / 'masks')
    classes = [f'c{i}' for i in range(1, 21)]
    found, labels = make('--folder', 'masks', '--classes', ','.join(classes))
    assert found == tuple(classes)
    assert labels['2007_000001'] == ('c8', 'c15')
    classes, labels = make('--folder', 'masks', '--classes', 'coco')
    assert len(classes) == 80
    assert labels['2007_000002'] == ('stop sign', )  # number 12


def test_missing_files(tmp_path, make):
    write_voc(tmp_path, masks=False)
    with pytest.raises(
            SystemExit, match='3 of 3 files are missing: .*with --folder'):
        make()
    with pytest.raises(SystemExit, match='train.txt: no such image list'):
        make('--list', 'train.txt')


@pytest.mark.parametrize('text, message', [
    ('<annotation><object><name>kat</name></object></annotation>',
     "Annotations: unknown tag 'kat': did you mean 'cat'.* Images: "
     "'2007_000002'"),
    ('<annotation><object><name>cat</name>',
     "2007_000002.xml: no element found.* Read is VOC's XML"),
])
def test_bad_xml(tmp_path, make, text, message):
    write_voc(tmp_path)
    (tmp_path / 'Annotations/2007_000002.xml').write_text(text)
    with pytest.raises(SystemExit, match=message):
        make('--from', 'xml')


def test_folders(tmp_path, make, capsys):
    for name in ('cat/5.heic', 'kow/outside/2.v1.PNG', 'cat/1.jpg',
                 'cat/notes.txt', 'background/1.jpg', 'hot dog/e\u0301.jpg',
                 'cat/1.png', '.ipynb_checkpoints/1.jpg', 'cat/.cache/3.jpg',
                 '__MACOSX/cat/._1.jpg', 'dog/@eaDir/4.jpg'):
        path = tmp_path / 'JPEGImages' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(SystemExit, match="tag 'kow': did you mean 'cow'"):
        make('--from', 'folders', '--classes', 'cat,cow,hot dog')
    assert make('--from', 'folders') == (('cat', 'hot dog', 'kow'), {
        'background/1': (),
        'cat/1': ('cat', ),
        'hot dog/\xe9': ('hot dog', ),
        'kow/outside/2.v1': ('kow', ),
    })
    assert "left out 1 images: 'cat/5.heic'" in capsys.readouterr().out
    (tmp_path / 'JPEGImages/1.jpg').touch()
    with pytest.raises(SystemExit, match="not in the folder of a class: '1'"):
        make('--from', 'folders')


def test_text(tmp_path, make):
    (tmp_path / 'tags.txt'
     ).write_text('# hot dog,cat\nb.jpg:\n\nx: y.png: cat, hot dog\n')
    assert make('--from', 'text', '--file',
                'tags.txt') == (('hot dog', 'cat'), {
                    'b': (),
                    'x: y': ('hot dog', 'cat')
                })


def test_onehot(tmp_path, make):
    path = tmp_path / 'cls_labels_onehot.npy'
    np.save(path, {
        name: np.isin(CLASSES[1:], tags)
        for name, tags in LABELS.items()
    })
    assert make('--from', 'onehot') == (CLASSES[1:], LABELS)


def test_a_list_selects_images(tmp_path, make_csv):
    text = 'image,tags\na.jpg,cat\nb.jpg,wrong\nc.jpg,dog\n\xe9.jpg,cat\n'
    args = (text, '--classes', 'cat,dog', '--list', 'train.txt')
    # accents as macOS writes them
    (tmp_path / 'train.txt').write_text('c\na.jpg\ne\u0301\n', 'utf-8')
    assert list(make_csv(*args)[1]) == ['c', 'a', '\xe9']
    (tmp_path / 'train.txt').write_text('c.jpg\na\nd\n')
    with pytest.raises(
            SystemExit,
            match="tags.csv: has nothing about 1 of 3 images of the list: "
            "'d'. It has 'a', 'b', 'c', .* Add the images"):
        make_csv(*args)


def test_classes_from_a_file(tmp_path, make_csv):
    (tmp_path / 'pets.txt').write_text('\ufeffcat\r\ncow\r\n\r\ndog\r\n',
                                       'utf-8')
    classes, _ = make_csv('image,tags\na,dog\n', '--classes', 'pets.txt')
    assert classes == ('cat', 'cow', 'dog')


@pytest.mark.parametrize('args, message', [
    (('--classes', 'cat,cat'), "--classes: the class 'cat' is .* listed twi"),
    (('--classes', 'none.txt'), 'none.txt: no such list of classes'),
    (('--from', 'csv'), '--from csv needs to know what to read. Give --file'),
])
def test_wrong_options(tmp_path, make, args, message):
    write_voc(tmp_path)
    with pytest.raises(SystemExit, match=message):
        make(*args)


def test_the_summary(tmp_path, make_csv, capsys):
    make_csv('image,tags\na,dog;cat\nb,dog\nc,no\n', '--classes',
             'cat,cow,dog', '--normal', 'no')
    assert capsys.readouterr().out.splitlines() == [
        f'{tmp_path}/image_labels.txt: 3 images, 3 tags. Images without tags: '
        '1.', '   images  class', '        2  dog', '        1  cat',
        '        0  cow'
    ]
