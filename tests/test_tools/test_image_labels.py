# Copyright (c) mmseg_afa contributors. All rights reserved.
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmseg_afa.datasets import (PascalVOCWeakDataset, read_label_file,
                                write_label_file)
from ..test_datasets.voc_folder import CLASSES, IMAGES, write_voc

PETS = ('cat', 'cow', 'dog')
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'tools/dataset_converters/image_labels.py'
LABELS = {name: tags for name, (_, _, tags) in IMAGES.items()}


def run(*args, before=()):
    """Run the command as a user does."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(
        [sys.executable, *before,
         str(SCRIPT), *map(str, args)],
        capture_output=True,
        text=True,
        env=environment)


def read(root):
    return read_label_file(str(root / 'image_labels.txt'))


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
    _, labels = read(tmp_path)
    assert list(labels) == ['2007_000002', '2007_000001']


def test_own_classes_and_folder(tmp_path, main):
    write_voc(tmp_path)
    (tmp_path / 'SegmentationClassAug').rename(tmp_path / 'masks')
    classes = [f'c{i}' for i in range(1, 21)]
    main(tmp_path, '--folder', 'masks', '--classes', ','.join(classes))
    found, labels = read(tmp_path)
    assert found == tuple(classes)
    assert labels['2007_000001'] == ('c8', 'c15')


def test_coco_classes(tmp_path, main):
    write_voc(tmp_path)
    main(tmp_path, '--classes', 'coco')
    classes, labels = read(tmp_path)
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


DOCTYPE = '<!DOCTYPE a [<!ENTITY b %s>]><annotation><object><name>&b;'


@pytest.mark.parametrize('text, message', [
    ('<annotation><object><name>kat</name></object></annotation>',
     "Annotations: the tag 'kat' is no class: did you mean 'cat'.* Images: "
     "'2007_000002'"),
    ('<annotation><object><name>cat</name>',
     '2007_000002.xml: no XML file, or a damaged one'),
    ('', '2007_000002.xml: no XML file, or a damaged one'),
    (DOCTYPE % '"cat"', '2007_000002.xml: has a document type declaration'),
    (DOCTYPE % 'SYSTEM "file:///etc/hostname"',
     '2007_000002.xml: has a document type declaration'),
    ('<a>' * 100_000, '2007_000002.xml: no XML file, or a damaged one'),
])
def test_bad_xml(tmp_path, main, text, message):
    write_voc(tmp_path)
    (tmp_path / 'Annotations/2007_000002.xml').write_text(text)
    with pytest.raises(SystemExit, match=message):
        main(tmp_path, '--from', 'xml')


def test_difficult_objects(tmp_path, main):
    write_voc(tmp_path)
    objects = ''.join(
        f'<object><name>{name}</name><difficult> {flag} </difficult></object>'
        for name, flag in (('dog', 0), ('cat', 1), ('cow', 1), ('cow', 0)))
    (tmp_path / 'Annotations/2007_000002.xml'
     ).write_text(f'<annotation>{objects}</annotation>')

    def tags(*args):
        main(tmp_path, '--from', 'xml', *args)
        return read(tmp_path)[1]['2007_000002']

    assert tags() == tags('--difficult', 'keep') == ('cat', 'cow', 'dog')
    assert tags('--difficult', 'drop') == ('cow', 'dog')


def test_wrong_number_of_workers(tmp_path, main, capsys):
    with pytest.raises(SystemExit):
        main(tmp_path, '--workers', '0')
    assert '0 must be at least 1' in capsys.readouterr().err


FILES = {
    'csv':
    'image,tags\nb.jpg,dog;cat\na/1.PNG,\n',
    'json':
    '{"b.jpg": ["dog", "cat"], "a/1": []}',
    'text':
    'b.jpg: dog, cat\na/1.png:\n',
    'coco':
    '{"images": [{"id": 3, "file_name": "b.jpg"},'
    '{"id": 4, "file_name": "a/1.jpg"}], "annotations": ['
    '{"image_id": 3, "category_id": 8}, {"image_id": 3, "category_id": 1}],'
    '"categories": [{"id": 8, "name": "dog"}, {"id": 1, "name": "cat"}]}',
}


@pytest.mark.parametrize('source', FILES)
def test_files(tmp_path, main, source, capsys):
    path = tmp_path / 'tags'
    path.write_text(FILES[source])
    main(tmp_path, '--from', source, '--file', 'tags')
    wanted = {'a/1': (), 'b': ('cat', 'dog')}
    assert read(tmp_path) == (('cat', 'dog'), wanted)
    assert list(read(tmp_path)[1]) == ['a/1', 'b']
    printed = capsys.readouterr().out
    assert '2 images, 2 tags. Images without tags: 1.' in printed
    assert ('Give --classes to' in printed) == (source != 'coco')

    main(tmp_path, '--from', source, '--file', path, '--classes', 'dog,cow,ca'
         't', '--out', tmp_path / 'other.txt')
    classes, labels = read_label_file(str(tmp_path / 'other.txt'))
    assert classes == ('dog', 'cow', 'cat')
    assert labels == {'a/1': (), 'b': ('dog', 'cat')}
    assert 'Give --classes' not in capsys.readouterr().out


def test_folders(tmp_path, main):
    for name in ('cat/1.jpg', 'dog/a/1.jpg', 'background/1.png', 'kow/1.jpg'):
        path = tmp_path / 'JPEGImages' / name
        path.parent.mkdir(parents=True)
        path.touch()
    with pytest.raises(
            SystemExit, match="'kow' is no class: did you mean 'co"):
        main(tmp_path, '--from', 'folders', '--classes', 'cat,cow,dog')
    main(tmp_path, '--from', 'folders')
    assert read(tmp_path) == (('cat', 'dog', 'kow'), {
        'background/1': (),
        'cat/1': ('cat', ),
        'dog/a/1': ('dog', ),
        'kow/1': ('kow', ),
    })


def test_onehot(tmp_path, main):
    labels = {
        name: np.isin(CLASSES[1:], tags)
        for name, tags in LABELS.items()
    }
    np.save(tmp_path / 'cls_labels_onehot.npy', labels)
    main(tmp_path, '--from', 'onehot')
    assert read(tmp_path) == (CLASSES[1:], LABELS)
    with pytest.raises(SystemExit, match='found 20 numbers .* of 80 classes'):
        main(tmp_path, '--from', 'onehot', '--classes', 'coco')
    np.save(tmp_path / 'cls_labels_onehot.npy', {'../a': np.zeros(20)})
    with pytest.raises(SystemExit, match="'../a' leads out of the folder"):
        main(tmp_path, '--from', 'onehot')


def test_a_list_chooses_images(tmp_path, main):
    (tmp_path /
     'tags.csv').write_text('image,tags\na.jpg,cat\nb.jpg,wrong\nc.jpg,dog\n')
    (tmp_path / 'train.txt').write_text('c\na\n')
    args = (tmp_path, '--from', 'csv', '--file', 'tags.csv', '--classes',
            'cat,dog', '--list', 'train.txt')
    main(*args)
    assert list(read(tmp_path)[1]) == ['c', 'a']
    (tmp_path / 'train.txt').write_text('c.jpg\na\nd\n')
    with pytest.raises(
            SystemExit, match="nothing on 2 of 3 images of the list: 'c.jpg'"):
        main(*args)


def test_unknown_tags_change_nothing(tmp_path, main):
    (tmp_path / 'image_labels.txt').write_text('what was there')
    (tmp_path / 'tags.csv').write_text('image,tags\na,kat\nb,dogg;kat\n')
    with pytest.raises(SystemExit) as error:
        main(tmp_path, '--from', 'csv', '--file', 'tags.csv', '--classes',
             'cat,cow,dog')
    assert str(error.value).splitlines() == [
        f'{tmp_path}/tags.csv: 2 tags are no classes:',
        "  'kat': did you mean 'cat'? Images: 'a', 'b'",
        "  'dogg': did you mean 'dog'? Images: 'b'",
        'Correct them, or add them to the classes, which are cat, cow, dog.',
    ]
    assert (tmp_path / 'image_labels.txt').read_text() == 'what was there'


def test_classes_from_a_file(tmp_path, main):
    (tmp_path / 'tags.csv').write_text('image,tags\na,dog\n')
    (tmp_path / 'pets.txt').write_text('\ufeffcat\r\ncow\r\n\r\ndog\r\n')
    main(tmp_path, '--from', 'csv', '--file', 'tags.csv', '--classes',
         'pets.txt')
    assert read(tmp_path)[0] == PETS


@pytest.mark.parametrize('classes, message', [
    ('cat,cat', "--classes: a class is listed twice: 'cat'"),
    ('background,cat', "--classes: leave out 'background'"),
    ('a:b,cat', "--classes: 'a:b' cannot be the name of a class"),
    (',', '--classes: names no class'),
    ('none.txt', 'none.txt'),
])
def test_wrong_classes(tmp_path, main, classes, message):
    with pytest.raises(SystemExit, match=message):
        main(tmp_path, '--from', 'csv', '--file', 'x', '--classes', classes)


@pytest.mark.parametrize('args, message', [
    (('--from', 'csv'), '--from csv needs to know what to read: give --file'),
    (('--from', 'csv', '--file', 'x.csv'), 'x.csv'),
    (('--from', 'csv', '--file', 'x', '--crowd', 'drop'),
     '--crowd is not for --from csv: leave it out'),
    (('--difficult', 'keep'), '--difficult is not for --from masks'),
])
def test_wrong_options(tmp_path, main, args, message):
    write_voc(tmp_path)
    with pytest.raises(SystemExit, match=message):
        main(tmp_path, *args)


def test_wrong_delimiter(tmp_path, main, capsys):
    with pytest.raises(SystemExit):
        main(tmp_path, '--from', 'csv', '--file', 'x', '--delimiter', ', ')
    assert "must be one character, or 'tab'" in capsys.readouterr().err


def test_no_tags_at_all(tmp_path, main):
    (tmp_path / 'tags.csv').write_text('image,tags\na,\nb,\n')
    args = (tmp_path, '--from', 'csv', '--file', 'tags.csv')
    with pytest.raises(SystemExit, match='tags.csv: no image has a tag'):
        main(*args)
    main(*args, '--classes', 'cat')
    assert read(tmp_path) == (('cat', ), {'a': (), 'b': ()})


def test_the_table_is_short(tmp_path, main, capsys):
    write_voc(tmp_path)
    main(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ['   images  class', '        1  cat']
    assert lines[7] == '      ...  10 more' and len(lines) == 13
    (tmp_path / 'tags.csv').write_text('a,dog,cat\nb,dog\n')
    main(tmp_path, '--from', 'csv', '--file', 'tags.csv')
    assert capsys.readouterr().out.splitlines()[1:4] == [
        '   images  class', '        2  dog', '        1  cat'
    ]


# Kills the process when the new file is about to take the old one's place.
KILLED = """
import os, runpy, signal, sys
from pathlib import Path
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def test_a_killed_run_leaves_the_old_file_and_can_be_repeated(tmp_path, main):
    path = write_voc(tmp_path) / 'image_labels.txt'
    wanted = path.read_bytes()
    path.write_text('what was there')
    process = run(
        tmp_path, '--from', 'xml', '--workers', '2', before=['-c', KILLED])
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert path.read_text() == 'what was there'
    main(tmp_path, '--from', 'xml')
    assert path.read_bytes() == wanted


def write_csv(path, classes, labels):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['image', 'tags'])
        writer.writerows(
            (f'{name}.jpg', '|'.join(tags)) for name, tags in labels.items())


def write_long_csv(path, classes, labels):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, delimiter='\t')
        writer.writerow(['file_name', 'label'])
        writer.writerows((f'{name}.jpg', tag) for name, tags in labels.items()
                         for tag in tags or [''])


def write_wide_csv(path, classes, labels):
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['image', *classes])
        writer.writerows((f'{name}.jpg', *(int(tag in tags)
                                           for tag in classes))
                         for name, tags in labels.items())


def write_json(path, classes, labels):
    path.write_text(
        json.dumps({
            f'{name}.jpg': tags
            for name, tags in labels.items()
        }))


def write_records(path, classes, labels):
    path.write_text(
        json.dumps([
            dict(image=f'{name}.jpg', tags=';'.join(tags))
            for name, tags in labels.items()
        ]))


def write_coco(path, classes, labels):
    path.write_text(
        json.dumps(
            dict(
                images=[
                    dict(id=f'{i}', file_name=f'{name}.jpg')
                    for i, name in enumerate(labels)
                ],
                annotations=[
                    dict(image_id=f'{i}', category_id=3 * classes.index(tag))
                    for i, tags in enumerate(labels.values()) for tag in tags
                ],
                categories=[
                    dict(id=3 * i, name=name) for i, name in enumerate(classes)
                ][::-1])))


def write_onehot(path, classes, labels):
    with open(path, 'wb') as file:
        np.save(
            file, {
                name: np.array([tag in tags for tag in classes], 'f4')
                for name, tags in labels.items()
            })


FORMS = dict(
    csv=[write_csv, write_long_csv, write_wide_csv],
    json=[write_json, write_records],
    text=[write_label_file],
    coco=[write_coco],
    onehot=[write_onehot])

letters = st.characters(
    blacklist_categories=('Cs', ), blacklist_characters='\r\n\0\\')
text = st.text(
    letters, min_size=1, max_size=8).filter(lambda name: name == name.strip())
image = text.filter(lambda name: not {'', '.', '..'} & set(name.split('/')))
tag = text.filter(lambda name: not set(',:;|[\t') & set(name))


@st.composite
def labels_with_classes(draw):
    classes = draw(st.lists(tag, min_size=1, max_size=5, unique=True))
    some_tags = st.lists(st.sampled_from(classes), unique=True).map(tuple)
    return tuple(classes), draw(
        st.dictionaries(image, some_tags, min_size=1, max_size=5))


@given(labels_with_classes())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path, main, case):
    """Every form of the same labels gives the same file."""
    classes, labels = case
    (tmp_path / 'classes.txt').write_text('\n'.join(classes), encoding='utf-8')
    wanted = {
        name: sorted(labels[name], key=classes.index)
        for name in sorted(labels)
    }
    write_label_file(str(tmp_path / 'wanted.txt'), classes, wanted)
    for source, forms in FORMS.items():
        for write in forms:
            write(tmp_path / 'tags', classes, labels)
            main(tmp_path, '--from', source, '--file', 'tags', '--classes',
                 'classes.txt')
            assert (tmp_path / 'image_labels.txt').read_bytes() == (
                tmp_path / 'wanted.txt').read_bytes(), write.__name__
