# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import re

import pytest

from mmseg_afa.datasets.label_sources import read_json

WANTED = {'a': ('cat', 'dog'), 'b': ()}


def write(tmp_path, text):
    path = tmp_path / 'tags.json'
    path.write_text(text, encoding='utf-8')
    return str(path)


@pytest.mark.parametrize('content', [
    {
        'a.jpg': ['cat', 'dog'],
        'b.jpg': []
    },
    {
        'a': 'cat, dog',
        'b': ''
    },
    {
        'a.PNG': 'cat;dog',
        'b': None
    },
    [{
        'image': 'a.jpg',
        'tags': ['cat', 'dog']
    }, {
        'image': 'b.jpg',
        'tags': []
    }],
    [{
        'id': 1,
        'file_name': 'a.jpg',
        'Labels': 'cat|dog'
    }, {
        'name': 'b.jpg',
        'classes': None
    }],
    [{
        'name': 'a',
        'label': 'cat'
    }, {
        'name': 'a',
        'label': 'dog'
    }, {
        'name': 'b',
        'label': ''
    }],
])
def test_read(tmp_path, content):
    path = write(tmp_path, json.dumps(content))
    assert read_json(path) == (None, WANTED)


def test_a_byte_order_mark_and_other_letters(tmp_path):
    path = write(tmp_path, '\ufeff{"été/ä b.jpg": ["chat noir"]}')
    assert read_json(path)[1] == {'été/ä b': ('chat noir', )}


@pytest.mark.parametrize('text, message', [
    ('', ': Expecting value: line 1 column 1'),
    ('{"a": ["cat"],}', ': '),
    ('3', ': found a number, expected {"a.jpg": ["cat", "dog"]}'),
    ('{"a": ["cat"], "b": [], "a": ["dog"]}',
     ": the key 'a' stands twice in an object"),
    ('{"a": 3}', ": 'a': found a number, expected a list of tags"),
    ('{"a": {"cat": 1}}', ": 'a': found an object, expected a list"),
    ('{"a": true}', ": 'a': found true, expected a list"),
    ('{"a": [3]}', ": 'a': found a number as a tag, expected the name of"),
    ('{"a": [["cat"]]}', ": 'a': found a list as a tag"),
    ('["a"]', ': record 1: found a string, expected {"image": "a.jpg"'),
    ('[{"image": "a", "tags": []}, {"image": "b"}]',
     ': record 2: found none of the fields tags, tag, labels'),
    ('[{"image": "a", "name": "b", "tags": []}]',
     ': record 1: found image and name of the fields image'),
    ('[{"image": 3, "tags": []}]', ': record 1: found a number as the name'),
    ('{"images": [], "annotations": [], "categories": []}',
     ': has images, annotations and categories as COCO: read it with --from'),
    ('{"a.jpg": [], "a.png": []}', ": 'a.jpg' and 'a.png' are both 'a'"),
    ('{"../a": []}', ": '../a' leads out of the folder"),
    ('{"": []}', ": '' cannot be the name"),
    ('{"\\udcff": []}', ": '\\udcff' cannot be the name"),
    ('[' * 1_000_000, ': nested too deep'),
    ('{"a":' * 1_000_000, ': nested too deep'),
])
def test_errors_say_what_was_found(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(f'{path}{message}')):
        read_json(path)
