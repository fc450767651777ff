# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import posixpath
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmseg_afa.datasets import read_label_file, write_label_file
from mmseg_afa.datasets.image_files import DataError, normalize_nfc
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
    path = write('b\n\n train/a c \n..a\r\nb..c/d\n./e\\f\n')
    names = ['b', 'train/a c', '..a', 'b..c/d', 'e/f']
    assert read_image_list(path) == names
    names += ['some more/\u732b']
    write_image_list(path, names)
    assert read_image_list(path) == names


@pytest.mark.parametrize('text, message', [
    (' \n\n', ': names no image'),
    ('a\nb\n\na\n', ":4: 'a' stands in line 1 already"),
    ('a/../../up\n', ":1: 'a/../../up' leads out of"),
    ('/etc/a\n', ":1: '/etc/a' leads out of"),
    ('..\\up\n', ":1: '..\\\\up' leads out of"),
])
def test_wrong_image_lists(write, text, message):
    path = write(text)
    with pytest.raises(DataError, match=re.escape(path + message)):
        read_image_list(path)


def test_all_wrong_lines_of_an_image_list(write):
    path = write('a\nb\na\n../c\n/d\ne\n')
    with pytest.raises(DataError) as error:
        read_image_list(path)
    assert error.value.rest == ['a', 'b', 'e']
    assert [line.split(': ')[0] for line in str(error.value).split('\n')
            ] == [f'{path}:{number}' for number in (3, 4, 5)]
    with pytest.raises(DataError) as error:
        read_image_list(write('/d\n' * 30))
    assert error.value.rest == []
    assert len(error.value.problems) == 31  # and no image
    lines = str(error.value).split('\n')
    assert len(lines) == 11 and lines[-1] == '... (31 problems in all)'


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
    with pytest.raises(DataError, match=":2: unknown tag 'whale': the classe"):
        read_label_file(path, known_classes=CLASSES)


@pytest.mark.parametrize('text, messages', [
    ('# cat,cow\na: cat\nb: cwo\n',
     ":3: unknown tag 'cwo': did you mean 'cow'? Fix the tag, or add it as a "
     "class. Images: 'b'."),
    ('# cat,cow\na: Cat\n', ":2: unknown tag 'Cat': did you mean 'cat'?"),
    ('# cat,cow\na: zebra\n',
     ":2: unknown tag 'zebra': the classes are cat, cow. Fix the tag"),
    ('# cat,cow\na: cat\nb: cow\na: cow\n',
     ":4: 'a' stands in line 2 already. Remove"),
    ('# cat,cow\na cat\n', ':2: found \'a cat\', expected "name: tag, tag"'),
    ('# cat,cow\n: cat\n', ':2: found'),
    ('#\na: cat\n', ":1: '' cannot be the name of a class"),
    ('# cat,cat\na: cat\n', ':1: a class is listed twice'),
    ('# background,cat\na: cat\n', ":1: leave out 'background'"),
    ('# made by: cat\n', ":1: 'made by: cat' cannot be the name of a class"),
    ('# cat,cow\na: cat\nb: kat\nc: kat, cwo\nd: cwo\ne: cwo\n',
     ":4: unknown tag 'cwo': did you mean 'cow'? Fix the tag, or add it as a "
     "class. Images: 'c', 'd', 'e'.\n"
     ":3: unknown tag 'kat': did you mean 'cat'? Fix the tag, or add it as a "
     "class. Images: 'b', 'c'."),
])  # yapf: disable
def test_errors_name_file_and_line(write, text, messages):
    path = write(text)
    with pytest.raises(DataError) as error:
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
        read_label_file(write('# cat,,dog\na: cow\n'))
    assert error.value.rest == (None, dict(a=('cow', )))
    assert len(error.value.problems) == 1


@pytest.mark.parametrize('classes, labels', [
    (CLASSES, dict(a=['cwo'])),
    (CLASSES, {'a\nb': ['cow']}),
    (CLASSES, {'../a': ['cow']}),
    (CLASSES, {'a\udcff': ['cow']}),
    (CLASSES, {'': ['cow']}),
    (('a,b', ), {}),
    (('a:b', ), dict(x=['a:b'])),
    (('background', ), {}),
    (('e\u0301', '\xe9'), {}),
    ((), {}),
])  # yapf: disable
def test_nothing_is_written_that_cannot_be_read(write, tmp_path, classes,
                                                labels):
    path = write('what was there')
    with pytest.raises(ValueError, match='file.txt'):
        write_label_file(path, classes, labels)
    assert (tmp_path / 'file.txt').read_text() == 'what was there'
    assert os.listdir(tmp_path) == ['file.txt']


def test_written_files_are_normalised(write):
    path = write('')
    write_label_file(path, ['dog', 'e\u0301'], {
        './a\\e\u0301 ': ['\xe9', 'dog', 'dog'],
        'b': [],
        'a/\xe9': ['dog']
    })
    with open(path, encoding='utf-8') as file:
        assert file.read() == '# dog,\xe9\na/\xe9: dog, \xe9\nb:\n'


letters = st.characters(
    blacklist_categories=('Cs', ), blacklist_characters='\r\n\\')
text = st.text(
    letters,
    min_size=1).map(normalize_nfc).filter(lambda name: name == name.strip())
image = text.filter(lambda name: name[0] != '/' and posixpath.normpath(name) ==
                    name and {'.', '..'}.isdisjoint(name.split('/')))
tag = text.filter(
    lambda name: not set(',:') & set(name) and name != 'background')


@st.composite
def labels_with_classes(draw):
    classes = draw(st.lists(tag, min_size=1, max_size=5, unique=True))
    some_tags = st.sets(st.sampled_from(classes)).map(
        lambda tags: tuple(sorted(tags, key=classes.index)))
    return tuple(classes), draw(st.dictionaries(image, some_tags, max_size=5))


@given(labels_with_classes())
@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path, case):
    """Read what was written, for names of any letters."""
    path = str(tmp_path / 'labels.txt')
    write_label_file(path, *case)
    assert read_label_file(path) == case


def test_index_by_stem():
    tags = {'a.jpg': ('cat', ), 'b': (), 'b.png': ()}
    assert index_by_stem('labels', tags) == {**tags, 'a': ('cat', )}
    tags['a.png'] = ('dog', )
    with pytest.raises(
            DataError,
            match=r"labels: 'a.png' has \('dog',\), but 'a', with another suff"
    ) as error:
        index_by_stem('labels', tags)
    assert error.value.rest['a'] == ('cat', )
