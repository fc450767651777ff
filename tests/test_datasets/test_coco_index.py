# Copyright (c) mmseg_afa contributors. All rights reserved.
import json
import re
import sqlite3
import sys
from contextlib import closing

import pytest

from mmseg_afa.datasets.coco_index import MAX_PIXELS, CocoIndex, build_index
from mmseg_afa.datasets.coco_masks import CocoAnnotation, CocoImage
from .coco_folder import (CATEGORIES, CLASSES, annotation, image, polygon,
                          write_annotations)

BOX = polygon(0, 0, 2, 3)
SECTIONS = dict(
    categories=CATEGORIES,
    images=[image(9, 4, 6), image(25, 5, 7),
            image(3, 4, 6)],
    annotations=[
        annotation(900100000009, 9, 'toothbrush',
                   dict(size=[4, 6], counts=[24]), 1),
        annotation(8, 3, 'person', BOX),
        annotation(7, 9, 'stop sign', [[1, 2], [0.1, 0.2, 3, 4]] + BOX),
    ])


def write(root, **changes):
    """Write the annotation file with some sections changed."""
    return write_annotations(root, 'train', **{**SECTIONS, **changes})


def build(path):
    build_index(path, path.with_name('index.sqlite'), CLASSES)


def read(path):
    """Index the annotation file, and return what the index gives out."""
    build(path)
    with closing(CocoIndex(path.with_name('index.sqlite'))) as index:
        images = list(index.images())
        assert index.names() == [image.name for image in images]
        return images, index.num_degenerate()


def test_images_with_their_annotations(tmp_path):
    images, degenerate = read(write(tmp_path))
    assert images == [
        CocoImage('COCO_train2014_000000000003', 4, 6,
                  (CocoAnnotation(8, 1, False, json.dumps(BOX)), )),
        CocoImage(
            'COCO_train2014_000000000009', 4, 6,
            (CocoAnnotation(7, 12, False,
                            json.dumps([[1, 2], [0.1, 0.2, 3, 4]] + BOX)),
             CocoAnnotation(900100000009, 80, True,
                            '{"size": [4, 6], "counts": [24]}')))
    ]
    assert degenerate == 2


def test_the_order_of_the_file_does_not_matter(tmp_path):
    expected = read(write(tmp_path))
    backwards = {
        section: SECTIONS[section][::-1]
        for section in ('annotations', 'images', 'categories')
    }
    assert read(
        write_annotations(tmp_path, 'val', licenses=[[[]]],
                          **backwards)) == expected


def test_only_the_index_is_left(tmp_path):
    path = write(tmp_path)
    build(path)
    assert {file.name for file in path.parent.iterdir()} == \
        {'instances_train2014.json', 'index.sqlite'}


def changed(section, position, **changes):
    """A section with an entry changed; keys set to None are left out."""
    items = list(SECTIONS[section])
    item = {**items[position], **changes}
    items[position] = {
        key: value
        for key, value in item.items() if value is not None
    }
    return {section: items}


@pytest.mark.parametrize('changes, message', [
    (dict(images=[]), "has no 'images'"),
    (dict(annotations=[]), "has no 'annotations'"),
    (dict(categories={}), "has no 'categories'"),
    (dict(images={'1': {}}), "'images' is no list"),
    (dict(images=[1]), "'images' holds 1, expected objects"),
    (dict(annotations=[[]]), "'annotations' holds [], expected objects"),
    (changed('annotations', 1, id=None), "'id' is None, expected an integer"),
    (changed('annotations', 1, id='8'), "'id' is '8', expected an integer"),
    (changed('annotations', 1,
             id=-1), "'id' is -1, expected an integer from 0 to"),
    (changed('annotations', 1, image_id=None),
     "annotation 8: 'image_id' is None, expected an integer"),
    (changed('annotations', 1, category_id=1.5),
     "annotation 8: 'category_id' is 1.5, expected an integer"),
    (changed('annotations', 1, iscrowd=2),
     "annotation 8: 'iscrowd' is 2, expected an integer from 0 to 1"),
    (changed('annotations', 1,
             segmentation=None), "annotation 8: has no 'segmentation'"),
    (changed('annotations', 1, image_id=1234),
     "annotation 8: belongs to the image 1234, which is not in 'images'"),
    (changed('annotations', 1, category_id=12),
     'annotation 8: belongs to the category 12, which is not in'),
    (changed('annotations', 1,
             id=7), 'annotation 7: has the id of another annotation'),
    (changed('images', 1, id=9), "'images' holds (9, 'COCO_train2014_00"),
    (changed('images', 1, file_name='COCO_train2014_000000000009.png'),
     "'images' holds (25, 'COCO_train2014_000000000009'), whose id or name"),
    (changed('images', 1, height=None), "image 25: 'height' is None"),
    (changed('images', 1, width=0), "image 25: 'width' is 0, expected an"),
    (changed('images', 1, width=-7), "image 25: 'width' is -7, expected an"),
    (changed('images', 1, height=MAX_PIXELS, width=2),
     f'image 25: is 2 x {MAX_PIXELS} pixels large, expected at most'),
    (changed('images', 1, file_name=None), "image 25: 'file_name' is None"),
    (changed('images', 1, file_name='../../x.jpg'),
     "image 25: '../../x' leads out of the folder"),
    (changed('images', 1,
             file_name='/x.jpg'), "image 25: '/x' leads out of the folder"),
    (changed('images', 1, file_name='..\\x.jpg'), 'leads out of the folder'),
    (changed('images', 1, file_name='a/x.jpg'), 'is no name of an image'),
    (changed('images', 1, file_name=''), 'is no name of an image'),
    (changed('images', 1, file_name='.a.1.tmp.jpg'), 'is no name of an image'),
    (changed('images', 1, file_name='a\nb.jpg'), 'is no name of an image'),
    (changed('images', 1, file_name=' a.jpg'), 'is no name of an image'),
    (changed('categories', 0, name='persom'),
     "the tag 'persom' is no class: did you mean 'person'?"),
    (changed('categories', 0, name=None), "category 1: 'name' is None"),
    (changed('categories', 0, id=2), "'categories' holds (2, 'bicycle')"),
    (changed('categories', 0, id=91), 'has 80 categories, by their ids'),
    (dict(categories=CATEGORIES[:79]), 'has 79 categories, by their ids'),
])
def test_broken_files(tmp_path, changes, message):
    path = write(tmp_path, **changes)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        build(path)
    assert str(error.value).startswith(str(path))
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('part', [0, 0.3, 0.7, 0.99])
def test_cut_off(tmp_path, part):
    path = write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:int(part * len(content))])
    with pytest.raises(ValueError, match='2014.json: no JSON file, or a dam'):
        build(path)


@pytest.mark.parametrize('content', [b'[1, 2]', b'{"images": 3}', b'null'])
def test_other_json(tmp_path, content):
    path = write(tmp_path)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="2014.json: has no 'categories'"):
        build(path)


def test_no_text(tmp_path):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'person', b'pers\xffn'))
    with pytest.raises(ValueError, match='2014.json: no JSON file, or a dam'):
        build(path)


def test_lists_in_lists_take_no_memory(tmp_path):
    resource = pytest.importorskip('resource')
    path = write(tmp_path)
    depth = 30_000  # ijson.items takes 2 GB for this
    path.write_text('{"annotations": [{"segmentation": ' + '[' * depth)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match='has lists in lists more than 50'):
        build(path)
    kilobytes = 1024 if sys.platform == 'darwin' else 1
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown / kilobytes < 200_000


@pytest.mark.parametrize('change, message', [
    ("name = '../../x'", 'leads out of the folder'),
    ('height = 100000000', 'expected at most'),
    ("width = 'abc'", "'width' is 'abc', expected an integer"),
])
def test_an_index_from_elsewhere(tmp_path, change, message):
    path = tmp_path / 'annotations/index.sqlite'
    build(write(tmp_path))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f'UPDATE images SET {change} WHERE id = 9')
    with closing(CocoIndex(path)) as index:
        with pytest.raises(
                ValueError, match=f'index.sqlite: image 9: .*{message}'):
            index.names()
        with pytest.raises(ValueError, match=message):
            list(index.images())


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        build(tmp_path / 'instances_train2014.json')
