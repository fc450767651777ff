# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import re
from pathlib import Path

import pytest

from mmseg_afa.datasets import read_label_file

FOLDER = Path(__file__).parents[2] / 'tools/dataset_converters'
WANTED = {'a': ('cat', 'dog'), 'b': ()}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Run the command on the text of a file, and read the label file."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from image_labels import main

    def read(source, text, *args, encoding='utf-8'):
        (tmp_path / 'tags').write_bytes(text.encode(encoding))
        main([str(tmp_path), '--from', source, '--file', 'tags', *args])
        return read_label_file(str(tmp_path / 'image_labels.txt'))

    return read


@pytest.mark.parametrize('text', [
    'image,tags\na.jpg,cat;dog\nb.jpg,\n',
    'image,tags\na.jpg,cat|dog|\nb.jpg,\n',
    'image,tags\na.jpg, "cat,dog"\nb.jpg,\n',
    'image;tags\na.jpg;cat,dog\nb.jpg;\n',
    '"Filename"\t"Labels"\n"a.jpg"\t"cat,dog"\nb.jpg\t\n',
    'image,label\na.jpg,cat\na.jpg,dog\n./a.jpg,cat\nb.jpg,\n',
    'image_id,width,class,height\na,640,cat,480\na,640,dog,1\nb,1,,1\n',
    'a.jpg,cat,dog\nb.jpg,\n',
    'a;cat;dog\nb;\n',
    '\ufeffimage,tags\r\na.JPEG,cat;dog\r\n\r\nb.png,\r\n,\r\n',
    '\n\nimage,tags\n./a.jpg,cat;dog\nb.jpg,',
    'image,tags,,\na.jpg,cat;dog,,\nb.jpg,,,\n',
])
def test_csv_with_tags(read, text):
    assert read('csv', text) == (('cat', 'dog'), WANTED)


@pytest.mark.parametrize('text', [
    'image,cat,cow,dog\na.jpg,1,-1,1\nb.jpg,-1,,\n',
    ',cat,cow,dog\na.jpg,1.0,0.0,True\nb.jpg,False,0.0,-1.0\n',
    '\tcat\tcow\tdog\na\t1\t0\t0\nb\t0\t0\t0\na\t0\t0\t1\n',
])
def test_csv_with_a_column_for_each_class(read, text):
    assert read('csv', text) == (('cat', 'cow', 'dog'), WANTED)


def test_names_in_csv(read):
    text = ('image,tags\n"été, 1/ä b.c.JPG",chat noir\n'
            'cat\\x.v2,hot dog\n"say ""x"".png",cat\n')
    assert read('csv', text)[1] == {
        'cat/x.v2': ('hot dog', ),
        'say "x"': ('cat', ),
        'été, 1/ä b.c': ('chat noir', ),
    }


def test_the_delimiter_can_be_given(read):
    text = 'a.jpg,cat;dog\nb.jpg,\n'
    with pytest.raises(
            SystemExit, match="tags:1: found ',' and ';' of comma.*--delimi"):
        read('csv', text)
    assert read('csv', text, '--delimiter', ',')[1] == WANTED
    text = 'a.jpg cat dog\nb.jpg ""\n'
    with pytest.raises(SystemExit, match='found none of comma'):
        read('csv', text)
    assert read('csv', text, '--delimiter', ' ')[1] == WANTED
    text = 'a.jpg\tcat;dog\nb.jpg\t\n'
    assert read('csv', text, '--delimiter', 'tab')[1] == WANTED


@pytest.mark.parametrize('text, message', [
    ('', ':1: found none of comma'),
    ('image,tags\n', ': names no image'),
    ('image,label,class\na,b,c\n',
     ':1: found label and class, which may mean the same. Remove'),
    ('photo,kind\na.jpg,cat\n',
     ":1: found 'photo' above 'a.jpg'. If this line is a header, call its"),
    ('image,species\na.jpg,cat\n',
     ":2: found 'cat' in the column 'species', expected 1 or 0. If the"),
    ('image,cat,dog\na.jpg,1,2\n', ":2: found '2' in the column 'dog'"),
    ('image,cat,dog\na.jpg,1\n', ":2: found ['a.jpg', '1'], expected 3"),
    ('a.jpg,0,1\nb.jpg,1,0\n',
     ':1: found only numbers after the name. If each class has a column'),
    ('a.jpg,cat\nb.jpg\n',
     ":2: found ['b.jpg'], expected 2 cells, the name of an image first. Wr"),
    ('image,tags,width\na.jpg,cat,dog,1\n',
     ":2: found ['a.jpg', 'cat', 'dog', '1'], expected 3"),
    ('image,tags\n,cat\n', ":2: found ['', 'cat'], expected 2"),
    ('image,tags\na.jpg,"[\'cat\', \'dog\']"\n',
     ':2: found "[\'cat\', \'dog\']", expected tags such as "cat;dog"'),
    ('image,tags\na.jpg,"cat\nb.jpg,dog\n', ':3: unexpected end of data'),
])
def test_csv_errors_name_the_line(tmp_path, read, text, message):
    path = tmp_path / 'tags'
    with pytest.raises(SystemExit, match=f'^{re.escape(f"{path}{message}")}'):
        read('csv', text)


@pytest.mark.parametrize('name, message', [
    ('../a.jpg', "'../a.jpg' leads out of the folder"),
    ('..\\a', "'..\\\\a' leads out of the folder"),
    ('a\nb', "'a\\nb' cannot be the name of an image"),
    ('\udcff', "'\\udcff' cannot be the name of an image"),
])
def test_names_that_no_image_can_have(read, name, message):
    with pytest.raises(SystemExit, match=f'tags: {re.escape(message)}'):
        read('json', json.dumps({name: ['cat']}))


def test_images_that_differ_in_their_suffix(read):
    with pytest.raises(SystemExit, match="'a.png' has .*, but 'a', with anot"):
        read('csv', 'image,tags\na.jpg,cat\na.png,dog\n')


@pytest.mark.parametrize('content', [
    {'a.jpg': ['cat', 'dog'], 'b.jpg': []},
    {'a': 'cat, dog', 'b': ''},
    {'a.PNG': 'cat;dog', 'b': None},
    [{'image': 'a.jpg', 'tags': ['cat', 'dog ']},
     {'image': 'b.jpg', 'tags': []}],
    [{'id': 1, 'file_name': 'a.jpg', 'Labels': 'cat|dog'},
     {'name': 'b.jpg', 'classes': None}],
    [{'name': 'a', 'label': 'cat'}, {'name': 'a', 'label': 'dog'},
     {'name': 'b', 'label': ''}],
])  # yapf: disable
def test_json(read, content):
    assert read('json', '\ufeff' + json.dumps(content))[1] == WANTED


@pytest.mark.parametrize('text, message', [
    ('{"a": ["cat"]', 'not a JSON file, or a damaged one (Expecting '),
    ('3', 'record 1: found 3, expected {"image": "a.jpg", "tags": ["cat",'),
    ('{"a": 3}', "record 1: found {'image': 'a', 'tags': 3}, expected"),
    ('{"a": [3]}', "found {'image': 'a', 'tags': [3]}, expected"),
    ('[{"image": 3, "tags": []}]', "found {'image': 3, 'tags': []}, expected"),
    ('["a"]', 'record 1: found \'a\', expected {"image": "a.jpg"'),
    ('[{"image": "a", "tags": []}, {"image": "b"}]',
     "record 2: found {'image': 'b'}, expected {\"image\": \"a.jpg\""),
    ('[{"image": "a", "name": "b", "tags": []}]',
     'record 1: found image and name, which may mean the same'),
    ('{"info": {}, "images": [{}]}', '--from coco reads annotations of COCO'),
])
def test_json_errors_say_what_was_found(read, text, message):
    with pytest.raises(SystemExit, match=f'tags: .*{re.escape(message)}'):
        read('json', text)


@pytest.mark.parametrize('source', ['csv', 'json', 'text', 'coco'])
def test_other_encodings_and_missing_files(tmp_path, read, source):
    with pytest.raises(SystemExit, match='tags: not a text file in UTF-8'):
        read(source, 'image,tags\né,cat\n', encoding='utf-16')
    with pytest.raises(SystemExit, match='none'):
        read(source, '', '--file', str(tmp_path / 'none'))
