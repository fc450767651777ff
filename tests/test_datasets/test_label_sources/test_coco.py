# Copyright (c) mmseg_afa contributors. All rights reserved.
import builtins
import json
import re
import tracemalloc

import pytest

from mmseg_afa.datasets.label_sources import read_coco


def coco(
        categories=((18, 'dog'), (1, 'person')),
        images=((9, 'train/b.jpg'), (2, 'a.v2.PNG'), ('x', 'c')),
        annotations=((9, 18), (9, 1), (9, 1), (2, 18)),
        **more):
    """The content of a file, annotations before images."""
    return dict(
        annotations=[
            dict(image_id=image, category_id=category, **more)
            for image, category in annotations
        ],
        categories=[dict(id=i, name=name) for i, name in categories],
        images=[dict(id=i, file_name=name) for i, name in images])


def write(tmp_path, content, start=''):
    path = tmp_path / 'instances.json'
    path.write_text(start + json.dumps(content))
    return str(path)


@pytest.mark.parametrize('start', ['', '\ufeff'])
def test_read(tmp_path, start):
    assert read_coco(write(tmp_path, coco(), start)) == (('person', 'dog'), {
        'train/b': ('dog', 'person'),
        'a.v2': ('dog', ),
        'c': (),
    })


def test_crowds(tmp_path):
    path = write(tmp_path, coco(iscrowd=1))
    assert read_coco(path)[1]['train/b'] == ('dog', 'person')
    assert set(read_coco(path, crowd='drop')[1].values()) == {()}
    path = write(tmp_path, coco(iscrowd=0))
    assert read_coco(path) == read_coco(path, crowd='drop')


def test_no_annotations(tmp_path):
    _, labels = read_coco(write(tmp_path, coco(annotations=[])))
    assert labels == {'train/b': (), 'a.v2': (), 'c': ()}


@pytest.mark.parametrize('content, message', [
    ({}, ': has no categories, or an empty list of them. Give a file with'),
    (coco(images=[]), ': has no images, or'),
    (coco(annotations=[(3, 1)]),
     ': annotations[0]: is of image 3, which the file does not list'),
    (coco(annotations=[(2, 1), (2, 3)]),
     ': annotations[1]: is of category 3, which the file does not list'),
    (coco(annotations=[([], 1)]), ': annotations[0]: has no image_id, or'),
    (coco(images=[(1, None)]), ': images[0]: has no file_name, or one that'),
    (coco(images=[(1, 'a'), (1, 'b')]),
     ": images[1]: the id 1 stands before already, for 'a'"),
    (coco(images=[(1, 'a'), (2, 'a')]),
     ": images[1]: the file_name 'a' stands before already"),
    (coco(images=[(1, 'a.jpg'), (2, 'a.png')],
          annotations=[]), ": 'a.jpg' and 'a.png' are both 'a'"),
    (coco(images=[(1, '../a.jpg')], annotations=[]), ": '../a' leads out of"),
    (coco(categories=[('1', 'cat')]), ': categories[0]: has no id, or one'),
    (dict(categories=[3]), ': categories[0]: has no id'),
])
def test_errors_say_what_was_found(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=re.escape(f'{path}{message}')):
        read_coco(path)


@pytest.mark.parametrize('text, message', [
    ('', 'no JSON file, or a damaged one (parse error'),
    ('{"categories": [{"id": 1, "name": "cat"', 'damaged one (parse error'),
    ('{"categories": [' + '[' * 50_000, 'nested more than 100 deep'),
    ('{"categories": ' + '[{"a":' * 50_000, 'nested more than 100 deep'),
])
def test_damaged_files_and_bombs(tmp_path, text, message):
    path = tmp_path / 'instances.json'
    path.write_text(text)
    tracemalloc.start()
    with pytest.raises(ValueError, match=re.escape(message)):
        read_coco(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_memory_does_not_grow_with_the_polygons(tmp_path):
    path = write(
        tmp_path,
        coco(annotations=[(9, 18)] * 600, segmentation=[[1.5] * 1000]))
    tracemalloc.start()
    read_coco(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / 'instances.json').stat().st_size > 3e6
    assert peak < 1e6


def test_without_ijson(tmp_path, monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name == 'ijson':
            raise ImportError('No module named ijson')
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', without)
    with pytest.raises(ImportError, match='ijson: `pip install -r requiremen'):
        read_coco(write(tmp_path, coco()))
