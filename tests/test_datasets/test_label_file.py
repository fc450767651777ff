# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmseg_afa.datasets import read_label_file, write_label_file
from mmseg_afa.datasets.image_list import DataError

CLASSES = ('cat', 'cow', 'dog')


def write(path, text):
    path.write_text(text, encoding='utf-8')
    return str(path)


def test_read(tmp_path):
    path = write(
        tmp_path / 'labels.txt', '# cat, cow,dog\n'
        '2007_000063: dog\n'
        'train/a b: c#é:  cow ,dog\n'
        '\n'
        'empty:\n')
    assert read_label_file(path) == (CLASSES, {
        '2007_000063': ('dog', ),
        'train/a b: c#é': ('cow', 'dog'),
        'empty': (),
    })


def test_without_a_list_of_classes_any_tag_may_occur(tmp_path):
    path = write(tmp_path / 'labels.txt', 'a: cat\nb: whale\n')
    assert read_label_file(path) == (None, {'a': ('cat', ), 'b': ('whale', )})
    with pytest.raises(ValueError, match=":2: the tag 'whale' is no class"):
        read_label_file(path, known_classes=CLASSES)


def test_files_from_windows_editors(tmp_path):
    path = tmp_path / 'labels.txt'
    path.write_bytes(b'\xef\xbb\xbf# cat,cow,dog\r\na: cat\r\n')
    assert read_label_file(str(path)) == (CLASSES, {'a': ('cat', )})


@pytest.mark.parametrize('text, message', [
    ('# cat,cow\na: cat\nb: cwo\n',
     ":3: the tag 'cwo' is no class: did you mean 'cow'?"),
    ('# cat,cow\na: Cat\n', "did you mean 'cat'?"),
    ('# cat,cow\na: zebra\n', ":2: the tag 'zebra' is no class: Correct it"),
    ('# cat,cow\na: cat\nb: cow\na: cow\n',
     ":4: 'a' stands in line 2 already: keep one"),
    ('# cat,cow\na cat\n', ':2: found \'a cat\', expected "name: tag, tag"'),
    ('# cat,cow\n: cat\n', ':2: found'),
    ('# cat,cow\na: cat,,cow\n', ':2: an empty tag'),
    ('#\na: cat\n', ':1: found'),
    ('# cat,cat\na: cat\n', ':1: a class is listed twice'),
    ('# background,cat\na: cat\n', ":1: leave out 'background'"),
    ('# made by: cat\n', ":1: 'made by: cat' cannot be the name of a class"),
    ('# cat,cow\na: cat\nb: cwo\nc: kat, cwo\n',
     ":3: 2 tags are no classes:\n  'cwo': did you mean 'cow'? Images: 'b', "
     "'c'\n  'kat': did you mean 'cat'? Images: 'c'\nCorrect them"),
])
def test_errors_name_file_and_line(tmp_path, text, message):
    path = write(tmp_path / 'labels.txt', text)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read_label_file(path)
    assert str(error.value).startswith(path)


@pytest.mark.parametrize('classes, labels', [
    (CLASSES, dict(a=['cwo'])),
    (CLASSES, {'a\nb': ['cow']}),
    (CLASSES, {' a': ['cow']}),
    (('a,b', ), {}),
    (('a:b', ), dict(x=['a:b'])),
    (('background', ), {}),
    ((), {}),
])  # yapf: disable
def test_nothing_is_written_that_cannot_be_read(tmp_path, classes, labels):
    path = tmp_path / 'labels.txt'
    path.write_text('what was there')
    with pytest.raises(ValueError, match='labels.txt'):
        write_label_file(str(path), classes, labels)
    assert path.read_text() == 'what was there'
    assert os.listdir(tmp_path) == ['labels.txt']


text = st.text(
    st.characters(blacklist_categories=('Cs', ), blacklist_characters='\r\n'),
    min_size=1).filter(lambda name: name == name.strip())
tag = text.filter(
    lambda name: not set(',:') & set(name) and name != 'background')


@st.composite
def labels_with_classes(draw):
    classes = draw(st.lists(tag, min_size=1, max_size=5, unique=True))
    some_tags = st.lists(st.sampled_from(classes), unique=True).map(tuple)
    return tuple(classes), draw(st.dictionaries(text, some_tags, max_size=5))


@given(labels_with_classes())
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path, case):
    path = str(tmp_path / 'labels.txt')
    write_label_file(path, *case)
    assert read_label_file(path) == case


def test_all_wrong_lines(tmp_path):
    path = tmp_path / 'labels.txt'
    path.write_text('# cat,dog\na: cat\nb dog\na: dog\nc: dgo, caat\nd: \n')
    with pytest.raises(DataError) as error:
        read_label_file(str(path))
    labels = dict(a=('cat', ), c=('dgo', 'caat'), d=())
    assert error.value.rest == (('cat', 'dog'), labels)
    problems = error.value.problems
    assert [text.split(': ')[0] for text in problems
            ] == [f'{path}:{number}' for number in (3, 4, 5)]
    assert "'dgo'" in problems[2] and "'caat'" in problems[2]
    assert str(error.value) == '\n'.join(problems)
    path.write_text('# cat,,dog\na: cow\n')
    with pytest.raises(DataError) as error:
        read_label_file(str(path))
    assert error.value.rest == (None, dict(a=('cow', )))
    assert len(error.value.problems) == 1
