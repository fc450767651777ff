# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import re

import pytest

from .test_image_labels import make  # noqa: F401

WANTED = {'a': ('cat', 'dog'), 'b': ()}


@pytest.fixture
def read(tmp_path, make):  # noqa: F811
    """Run the command on the text of a file, and read the label file."""

    def read(source, text, *args, encoding='utf-8'):
        (tmp_path / 'tags').write_bytes(text.encode(encoding))
        return make('--from', source, '--file', 'tags', *args)

    return read


@pytest.mark.parametrize('text', [
    'image,tags\na.jpg,cat;dog\nb.jpg,\n',
    'image,tags\na.jpg, "cat|dog,"\nb.jpg,\n',
    'image;tags\na.jpg;cat,dog\nb.jpg;\n',
    '"Filename"\t"Labels"\n"a.jpg"\t"cat,dog"\nb.jpg\t\n',
    'image,label\na.jpg,cat\na.jpg,dog\n./a.jpg,cat\nb.jpg,\n',
    'image_id,width,class\na,640,cat\na,640,dog\nb,1,\n',
    '\ufeffimage,tags\r\na.JPEG,cat;dog\r\n\r\nb.png,\r\n,\r\n',
])
def test_csv_with_tags(read, text):
    tagged = {'a': WANTED['a']}  # nobody has looked at b
    assert read('csv', text) == (('cat', 'dog'), tagged)
    assert read('csv', text, '--normal', '')[1] == WANTED


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


@pytest.mark.parametrize('text, message', [
    ('', ': names no image'),
    ('image,tags\n', ': names no image'),
    ('photo,kind\na.jpg,cat\n',
     ":2: found {'kind': 'cat', 'photo': 'a.jpg'}. Read is"),
    ('image,species\na.jpg,cat\n',
     ":2: found 'cat' in the column 'species', expected 1 or 0. Read is"),
    ('image,cat,dog\na.jpg,1\n', ":2: found ['a.jpg', '1']. Read is"),
    ('image,tags,width\na.jpg,cat,dog,1\n',
     ":2: found ['a.jpg', 'cat', 'dog', '1']. Read is"),
    ('image,tags\n,cat\n', ":2: found {'image': '', 'tags': 'cat'}. Read is"),
])
def test_csv_errors_name_the_line(tmp_path, read, text, message):
    path = tmp_path / 'tags'
    with pytest.raises(SystemExit, match=f'^{re.escape(f"{path}{message}")}'):
        read('csv', text)


@pytest.mark.parametrize('content', [
    {'a.jpg': ['cat', 'dog'], 'b.jpg': []},
    {'a': 'cat, dog', 'b': ''},
    [{'id': 1, 'file_name': 'a.jpg', 'Labels': ['cat', 'dog ']},
     {'name': 'b.jpg', 'classes': []}],
    [{'name': 'a', 'label': 'cat'}, {'name': 'a', 'label': 'dog'},
     {'name': 'b', 'label': ''}],
])  # yapf: disable
def test_json(read, content):
    text = '\ufeff' + json.dumps(content)
    assert read('json', text)[1] == {'a': WANTED['a']}
    assert read('json', text, '--normal', '')[1] == WANTED


@pytest.mark.parametrize('text, message', [
    ('{"a": ["cat"]',
     'delimiter: line 1 column 14 (char 13). Read is JSON. Correct'),
    ('{"a": [3.5]}', "'a': found [3.5], expected names of tags"),
    ('["a"]', 'item 1: found \'a\'. Read is {"image": "a.jpg"'),
    ('[{"image": "a", "tags": []}, {"image": "b"}]',
     "found {'image': 'b'}. Read is {\"image\": \"a.jpg\""),
    ('{"info": {}, "images": [{}]}', '--from auto finds other formats'),
])
def test_json_errors_say_what_was_found(read, text, message):
    with pytest.raises(SystemExit, match=f'tags: .*{re.escape(message)}'):
        read('json', text)


@pytest.mark.parametrize('source', ['csv', 'json', 'text', 'coco'])
def test_other_encodings_and_missing_files(tmp_path, read, source):
    with pytest.raises(SystemExit, match='tags: not a text file in UTF-8'):
        read(source, 'image,tags\né,cat\n', encoding='cp1252')
    with pytest.raises(SystemExit, match='none'):
        read(source, '', '--file', str(tmp_path / 'none'))
