# Copyright (c) mmseg_afa contributors. All rights reserved.
import csv
import re

import pytest

from mmseg_afa.datasets.label_sources import read_csv

WANTED = {'a': ('cat', 'dog'), 'b': ()}


def write(tmp_path, text, encoding='utf-8'):
    path = tmp_path / 'tags.csv'
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize('text', [
    'image,tags\na.jpg,cat;dog\nb.jpg,\n',
    'image,tags\na.jpg,cat|dog|\nb.jpg,\n',
    'image,tags\na.jpg,"cat, dog"\nb.jpg,""\n',
    'image,tags\na.jpg, "cat,dog"\nb.jpg,\n',
    'image,tags\na.jpg,cat,dog\nb.jpg,\n',
    'image;tags\na.jpg;cat,dog\nb.jpg;\n',
    '"Filename"\t"Labels"\n"a.jpg"\t"cat,dog"\nb.jpg\t\n',
    'image,label\na.jpg,cat\na.jpg,dog\na.jpg,cat\nb.jpg,\n',
    'image_id,width,class,height\na,640,cat,480\na,640,dog,1\nb,1,,1\n',
    'image_id,width,class\na,640,cat;dog\nb,1,\n',
    'a.jpg,cat,dog\nb.jpg,\n',
    'a;cat;dog\nb;\n',
    'a.jpg,cat\na.jpg,dog\nb.jpg,\n',
    '\ufeffimage,tags\r\na.JPEG,cat;dog\r\n\r\nb.png,\r\n,\r\n',
    'image,tags\ra.jpg,cat;dog\rb.jpg,\r',
    '\n\nimage,tags\n./a.jpg,cat;dog\nb.jpg,',
])
def test_columns_of_tags(tmp_path, text):
    assert read_csv(write(tmp_path, text)) == (None, WANTED)


@pytest.mark.parametrize('text', [
    'image,cat,cow,dog\na.jpg,1,0,1\nb.jpg,0,0,0\n',
    'image,cat,cow,dog\na.jpg,1,-1,1\nb.jpg,-1,,\n',
    ',cat,cow,dog\na.jpg,1.0,0.0,True\nb.jpg,False,0.0,-1.0\n',
    'id;cat;cow;dog\na;1;0;0\nb;0;0;0\na;0;0;1\n',
])
def test_a_column_for_each_class(tmp_path, text):
    classes, labels = read_csv(write(tmp_path, text))
    assert classes == ('cat', 'cow', 'dog')
    assert labels == WANTED


def test_one_class_alone(tmp_path):
    path = write(tmp_path, 'image,crack\na.jpg,1\nb.jpg,0\n')
    assert read_csv(path) == (('crack', ), {'a': ('crack', ), 'b': ()})


def test_names(tmp_path):
    path = write(
        tmp_path, 'image,tags\n"été, 1/ä b.c.JPG",chat noir\n'
        'cat\\x.v2,hot dog\n"say ""x"".png",cat\n')
    assert list(read_csv(path)[1].items()) == [
        ('été, 1/ä b.c', ('chat noir', )),
        ('cat/x.v2', ('hot dog', )),
        ('say "x"', ('cat', )),
    ]


def test_the_delimiter_can_be_said(tmp_path):
    path = write(tmp_path, 'a.jpg,cat;dog\nb.jpg,\n')
    with pytest.raises(
            ValueError,
            match='tags.csv:1: found commas and semicolons in the first line: '
            'say what stands between columns, as --delimiter'):
        read_csv(path)
    assert read_csv(path, delimiter=',') == (None, WANTED)
    path = write(tmp_path, 'a.jpg cat dog\nb.jpg ""\n')
    with pytest.raises(ValueError, match='found no comma, semicolon or tab'):
        read_csv(path)
    assert read_csv(path, delimiter=' ') == (None, WANTED)


@pytest.mark.parametrize('text, message', [
    ('', ':1: found no comma'),
    ('image,label,class\na,b,c\n',
     ':1: several columns may hold the tags: label, class. Remove'),
    ('photo,kind\na.jpg,cat\n',
     ":1: found 'photo' above 'a.jpg': if this line is a header, call its"),
    ('image,species\na.jpg,cat\n',
     ":2: found 'cat' in the column 'species', expected 1 or 0. If the"),
    ('image,cat,dog\na.jpg,1,2\n', ":2: found '2' in the column 'dog'"),
    ('image,cat,dog\na.jpg,1\n', ':2: found 2 cells, expected 3 as in'),
    ('a.jpg,0,1\nb.jpg,1,0\n',
     ':1: found only numbers behind the name. If each class has a column'),
    ('a.jpg,cat\nb.jpg\n', ':2: found 1 cells, expected 2: write "a.jpg,"'),
    ('image,tags,width\na.jpg,cat\n', ':2: found 2 cells, expected 3'),
    ('image,tags,width\na.jpg,cat,dog,1\n', ':2: found 4 cells, expected 3'),
    ('image,tags\n,cat\n', ':2: names no image'),
    ('image,cat\n,1\n', ':2: names no image'),
    ('image,tags\na.jpg,"[\'cat\', \'dog\']"\n',
     ':2: found "[\'cat\', \'dog\']", expected tags such as "cat;dog"'),
    ('image,tags\na.jpg,"cat\nb.jpg,dog\n', ':3: unexpected end of data'),
    ('image,tags\na.jpg,"cat"s\n', ":2: ',' expected after '\"'"),
    ('image,tags\na.jpg,cat\na.png,dog\n',
     ": 'a.jpg' and 'a.png' are both 'a' without their suffix"),
    ('image,tags\n../a.jpg,cat\n', ": '../a' leads out of the folder"),
    ('image,tags\n/etc/a.jpg,cat\n', ": '/etc/a' leads out of the folder"),
    ('image,tags\n.//etc/a,cat\n', ": '/etc/a' leads out of the folder"),
    ('image,tags\n..\\a,cat\n', ": '../a' leads out of the folder"),
    ('image,tags\n"a\nb",cat\n', ": 'a\\nb' cannot be the name of an image"),
])
def test_errors_say_what_was_found(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(f'{path}{message}')):
        read_csv(path)


def test_other_files(tmp_path):
    path = write(tmp_path, 'image,tags\né,cat\n', 'utf-16')
    with pytest.raises(ValueError, match='tags.csv: not a text file in UTF-8'):
        read_csv(path)
    path = write(tmp_path, 'image,tags\n' + 'a' * csv.field_size_limit() + 'a')
    with pytest.raises(ValueError, match='tags.csv:2: field larger than fie'):
        read_csv(path)
    with pytest.raises(FileNotFoundError, match='none.csv'):
        read_csv(str(tmp_path / 'none.csv'))
