# Copyright (c) mmseg_afa contributors. All rights reserved.
import os

import pytest

from mmseg_afa.datasets import read_label_file, write_label_file
from mmseg_afa.datasets.image_files import DataError
from mmseg_afa.datasets.label_file import (index_by_stem, read_image_list,
                                           write_image_list)

CLASSES = ('cat', 'cow', 'dog')


@pytest.fixture
def write(tmp_path):

    def write(text):
        path = tmp_path / 'file.txt'
        path.write_bytes(text.encode())
        return str(path)

    return write


def test_image_lists(write):
    path = write('b\n\n train/a c \n..a\r\nb\nb..c/d\n./e\\f\n')
    names = ['b', 'train/a c', '..a', 'b..c/d', 'e/f']
    assert read_image_list(path) == names
    names += ['some more/\u732b']
    write_image_list(path, names)
    assert read_image_list(path) == names
    with pytest.raises(ValueError, match='file.txt: names no image'):
        read_image_list(write(' \n\n'))


def test_lists_with_the_masks(write):
    """Read lists of other codes, with the paths of photo and mask."""
    path = write('/JPEGImages/2007_1.jpg /SegmentationClassAug/2007_1.png\n'
                 'images/train/a b.JPG\tmasks/train/a b.png\n'
                 'x/images/c.png x/labels/c.png\nimages/d.jpg masks/d_mask.png'
                 '\ne.jpg f.png\ng.jpg h/g\n')
    assert read_image_list(path) == [
        '2007_1', 'train/a b', 'c', 'images/d.jpg', 'e.jpg f.png', 'g.jpg h/g'
    ]


def test_read_other_encodings(tmp_path):
    for encoding in ('utf-8-sig', 'utf-16', 'utf-16-be'):
        mark = '\ufeff' * (encoding == 'utf-16-be')
        text = f'{mark}# e\u0301\u200b,cat\na\u2060.jpg: \xe9\n'
        (tmp_path / 'file').write_bytes(text.encode(encoding))
        assert read_label_file(str(tmp_path / 'file')) == (
            ('\xe9', 'cat'), {'a.jpg': ('\xe9', )})  # yapf: disable
    for encoding in ('utf-16-le', 'utf-16-be'):
        (tmp_path / 'file').write_bytes('a: cat'.encode(encoding))
        with pytest.raises(ValueError, match='file: holds NUL characters'):
            read_label_file(str(tmp_path / 'file'))
    (tmp_path / 'file').write_bytes('\xe9: cat'.encode('cp1252'))
    with pytest.raises(ValueError, match='not a text file in UTF-8 .*Excel'):
        read_label_file(str(tmp_path / 'file'))


def test_read(write):
    path = write('\ufeff# cat, cow,dog\r\n'
                 '2007_000063: dog\r\n'
                 'train/a b: c#e\u0301:  cow ,dog,\r\n'
                 '\r\n'
                 'empty:\r\n')
    assert read_label_file(path) == (CLASSES, {
        '2007_000063': ('dog', ),
        'train/a b: c#\xe9': ('cow', 'dog'),
        'empty': (),
    })


def test_without_a_list_of_classes_any_tag_may_occur(write):
    path = write('a: cat\nb: whale\n')
    assert read_label_file(path) == (None, {'a': ('cat', ), 'b': ('whale', )})
    with pytest.raises(DataError, match=":2: unknown tag 'whale': the class"):
        read_label_file(path, known_classes=CLASSES)


@pytest.mark.parametrize('text, messages', [
    ('# cat,cow\na: Cat\n', ":2: unknown tag 'Cat': did you mean 'cat'?"),
    ('# cat,cow\na: zebra\n',
     ":2: unknown tag 'zebra': the classes are cat, cow. Fix the tag"),
    ('# cat,cow\na: cat\nb: cow\na: cow\n',
     ":4: 'a' stands in line 2 already. Remove"),
    ('# cat,cow\na.jpg: cat\nb: cow\na.png:\n',
     ":4: 'a.png' has other tags than 'a.jpg' in line 2: both are one"),
    ('# cat,cow\na cat\n', ':2: found \'a cat\', expected "name: tag, tag"'),
    ('# cat,cow\n: cat\n', ':2: found'),
    ('#\na: cat\n', ":1: the class '' is empty"),
    ('# background,cat\na: cat\n', ":1: the class 'background' is empty, res"),
    ('# cat,cow\na: cat\nb: kat\nc: kat, cwo\nd: cwo\ne: cwo\n',
     ":3: unknown tag 'kat': did you mean 'cat'? Fix the tag, or add it as a "
     "class. Images: 'b', 'c'.\n"
     ":4: unknown tag 'cwo': did you mean 'cow'? Fix the tag, or add it as a "
     "class. Images: 'c', 'd', 'e'."),
])  # yapf: disable
def test_errors_name_file_and_line(write, text, messages):
    path = write(text)
    with pytest.raises(ValueError) as error:
        read_label_file(path)
    lines = str(error.value).split('\n')
    assert len(lines) == len(messages.split('\n'))
    for line, message in zip(lines, messages.split('\n')):
        assert line.startswith(path + message)


def test_all_wrong_lines_of_a_label_file(write):
    path = write('# cat,dog\na: cat\nb dog\na: dog\nc: dgo\nd: \n')
    with pytest.raises(DataError) as error:
        read_label_file(path)
    labels = dict(a=('cat', ), c=('dgo', ), d=())
    assert error.value.rest == (('cat', 'dog'), labels)
    assert [text.split(': ')[0] for text in error.value.problems
            ] == [f'{path}:{number}' for number in (3, 4, 5)]
    with pytest.raises(DataError) as error:
        read_label_file(write('d\n' * 30))
    lines = str(error.value).split('\n')
    assert len(lines) == 11 and lines[-1] == '... (30 problems in all)'


@pytest.mark.parametrize('classes, labels', [
    (CLASSES, dict(a=['cwo'])),
    (('a:b', ), dict(x=['a:b'])),
    (CLASSES, {
        'x\ny': ['cat']
    }),
    (('a\tb', ), {}),
    (('e\u0301', '\xe9'), {}),
    ((), {}),
])
def test_nothing_is_written_that_cannot_be_read(write, tmp_path, classes,
                                                labels):
    path = write('what was there')
    with pytest.raises(ValueError, match='file.txt'):
        write_label_file(path, classes, labels)
    assert (tmp_path / 'file.txt').read_text() == 'what was there'
    assert os.listdir(tmp_path) == ['file.txt']


def test_written_files_are_normalised(write):
    path = write('')
    write_label_file(path, ['dog', 'e\u0301', '\u732b'], {
        './a\\e\u0301 ': ['\xe9', 'dog', 'dog'],
        'x: #1': ['\u732b'],
        'b': [],
    })
    with open(path, encoding='utf-8') as file:
        assert file.read() == (
            '# dog,\xe9,\u732b\na/\xe9: dog, \xe9\nx: #1: \u732b\nb:\n')
    assert read_label_file(path) == (('dog', '\xe9', '\u732b'), {
        'a/\xe9': ('dog', '\xe9'),
        'x: #1': ('\u732b', ),
        'b': (),
    })


def test_index_by_stem():
    tags = {'a.jpg': ('cat', ), 'b': ()}
    assert index_by_stem(tags) == {**tags, 'a': ('cat', )}
