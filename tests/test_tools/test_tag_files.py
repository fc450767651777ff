# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read small files as users have them, with --from auto."""
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_afa.datasets.mask_file import PALETTE
from .test_image_labels import make  # noqa: F401

FILES = Path(__file__).parents[1] / 'data/tag_files'
PETS = {'a': ('cat', 'dog'), 'b': ('cat', )}


@pytest.fixture
def read(tmp_path, make, capsys):  # noqa: F811
    """Run the command with --from auto on a file, beside some photos.

    Return the classes, the labels, and what was printed.
    """

    def read(name, *args, content=None, photos='', source='auto'):
        if content is None:
            copy = shutil.copytree if (FILES / name).is_dir() else shutil.copy
            copy(FILES / name, tmp_path / name)
        else:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                content if isinstance(content, bytes) else content.encode())
        for photo in photos.split():
            path = tmp_path / 'JPEGImages' / photo
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        classes, labels = make('--from', source, '--file', name, *args)
        printed = capsys.readouterr()
        return classes, labels, printed.out + printed.err

    return read


FRUIT_OR_ZEBRA = {
    '000000000009': ('orange', ),
    '000000000025': (),
    '000000000030': (),
    '000000000034': ('zebra', ),
    '000000000036': (),
    '000000000042': ()
}
FOUND = [
    ('openimages.csv', '', ('/m/015p6', '/m/07j7r'), {
        '000026e7ee790996': ('/m/07j7r', ),
        '000062a39995e348': ('/m/015p6', )
    }),
    ('header_unknown_name.csv', '', ('cat', 'dog'), {
        'A1': ('cat', ),
        'A2': ('dog', )
    }),
    ('sep.csv', '', ('cat', 'dog'), {
        'c1': ('cat', ),
        'd1': ('dog', )
    }),
    ('num.csv', '', ('1', '2', '10'), {
        'photos/1': ('10', ),
        'photos/2': ('2', ),
        'photos/3': ('1', )
    }),
    ('planet.csv', '--split-at SPACE',
     ('agriculture', 'clear', 'haze', 'primary', 'water'), {
         'train_0': ('haze', 'primary'),
         'train_1': ('agriculture', 'clear', 'primary', 'water')
     }),
    ('hf_int.csv', '--classes cat,dog', ('cat', 'dog'), {
        'a': ('cat', ),
        'b': ('dog', ),
        'c': ('cat', )
    }),
    ('metadata.jsonl', '--only orange zebra', ('orange', 'zebra'),
     FRUIT_OR_ZEBRA),
    ('labelstudio.json', '--only orange zebra', ('orange', 'zebra'),
     FRUIT_OR_ZEBRA),
    ('cvat_tags.xml', '', ('cat', 'dog'), {
        'a': ('cat', ),
        'b': ('cat', 'dog')
    }),
    ('yolo', '--only broccoli giraffe', ('giraffe', 'broccoli'), {
        'train2017/000000000009': ('broccoli', ),
        'train2017/000000000025': ('giraffe', )
    }),
    ('roboflow_root_category.json', '', ('cat', 'dog'), {
        'a_jpg.rf.01': ('cat', ),
        'b_jpg.rf.02': ('dog', )
    }),
    ('case.csv', '--rename Cat=cat cats=cat', ('cat', ),
     dict.fromkeys('abcd', ('cat', ))),
    ('url.csv', '', ('cat', 'dog'), PETS),
]


@pytest.mark.parametrize('name, args, classes, labels', FOUND)
def test_what_is_read(read, name, args, classes, labels):
    assert read(name, *args.split())[:2] == (classes, labels)


def test_onehot_with_numbers_as_names(read):
    _, labels, _ = read('irn_int_keys.npy', photos='2007_000032.jpg')
    assert labels == {'2007_000032': ('aeroplane', )}


SAID = [
    ('num.csv', 'numbers are the names of classes, in the order of their '
     'values: 1, 2, 10'),
    ('planet.csv', "such as 'agriculture clear primary water'. To split them, "
     'add --split-at SPACE'),
    ('case.csv', "3 classes look alike: 'Cat', 'cat', 'cats'. To merge them, "
     'add --rename Cat=cat cats=cat.'),
    ('roboflow_root_category.json', "left out 'animals', which holds other"),
    ('cvat_tags.xml', "read as 'cvat': its suffix is .xml"),
]


@pytest.mark.parametrize('name, message', SAID)
def test_what_is_said(read, name, message):
    assert message in read(name)[2]


def test_numbers_need_names(read):
    with pytest.raises(SystemExit, match='hf_int.csv: .* Numbers need names'):
        read('hf_int.csv')
    assert "0 is 'cat', and 1 is 'dog'" in read('hf_int.csv', '--classes',
                                                'cat,dog')[2]
    with pytest.raises(SystemExit, match="numbers '1', expected 0 to 0"):
        read('hf_int.csv', '--classes', 'cat')
    text = '{"file_name": "a.jpg", "label": 2}\n'
    assert read(
        'x.jsonl', '--classes', 'cat,dog', content=text)[1] == {
            'a': ('dog', )
        }
    with pytest.raises(SystemExit, match='expected names of tags'):
        read('x.jsonl', content=text.replace('2', '[0, 1, 0]'))
    text = 'image,tags\na.jpg,cat;2\n'
    assert 'numbers are the names' in read('x.csv', content=text)[2]


def test_masks_of_0_and_255(tmp_path, read):
    (tmp_path / 'list.txt').write_text('m')
    mask = (FILES / 'mask_0_255.png').read_bytes()
    args = '--folder masks --list list.txt --classes cat,cow,dog'.split()
    with pytest.raises(SystemExit, match=r'no mask shows .* only \[0, 255\]'):
        read('masks/m.png', *args, content=mask, source='masks')
    image = Image.fromarray(np.array([[0, 3]], np.uint8))
    image.putpalette(PALETTE)
    image.save(tmp_path / 'masks/m.png')
    assert read('x', *args, content='')[1] == {'m': ('dog', )}


def test_a_list_with_two_columns(tmp_path, read):
    shutil.copy(FILES / 'two_column_list.txt', tmp_path / 'list.txt')
    text = 'image,tags\n2007_000032.jpg,cat\nb.jpg,dog\n'
    _, labels, _ = read('x.csv', '--list', 'list.txt', content=text)
    assert labels == {'2007_000032': ('cat', )}


@pytest.mark.parametrize('name, photos, wanted', [
    ('photos/1.jpg', '1.png', '1'),
    ('1', 'x/1.jpg', 'x/1'),
    ('train\\A.b.JPG', 'A.b.jpg', 'A.b'),
    (r'C:\pets\a.jpg', 'a.jpg', 'a'),
    ('/data/upload/3/0a1b2c3d-a.jpg', 'a.jpg', 'a'),
    ('/data/local-files/?d=pets/in/a.jpg', 'in/a.jpg', 'in/a'),
    ('0a1b2c3d-a.jpg', '0a1b2c3d-a.jpg', '0a1b2c3d-a'),
    ('0a1b2c3d-a.jpg', 'in/a.jpg', 'in/a'),
    ('s3://bucket/h%C3%A4user.jpg?v=2.png', 'häuser.jpg', 'häuser'),
    ('https://a.org/cats/1.jpg', 'cats/1.jpg dogs/1.jpg', 'cats/1'),
    ('a\u200b.jpg', 'a.jpg', 'a'),
])
def test_names_of_photos(read, name, photos, wanted):
    text = json.dumps({name: ['cat']})
    assert list(read('x.json', content=text, photos=photos)[1]) == [wanted]


@pytest.mark.parametrize('names, photos, message', [
    ('1.jpg', 'cat/1.jpg dog/1.jpg',
     "'1' may be any of 'cat/1', 'dog/1'. Write the folder"),
    ('a.jpg b.jpg', 'c.jpg', "2 of 2 names match no photo: 'a.jpg', 'b.jpg'"),
    ('a.jpg a.png', 'a.jpg', "'a.jpg' and 'a.png' would both be the image"),
    ('http://x.org/1/a.jpg http://x.org/2/a.jpg', '', "both be the image 'a'"),
])
def test_names_that_fit_no_photo_or_two(read, names, photos, message):
    text = json.dumps(dict.fromkeys(names.split(), ['cat']))
    with pytest.raises(SystemExit, match=re.escape(message)):
        read('x.json', content=text, photos=photos)


def test_names_and_photos_are_counted(read):
    text = 'image,tags\na.jpg,cat\nx.jpg,dog\nc.jpg,\n'
    _, labels, said = read('x.csv', content=text, photos='a.jpg b.jpg c.jpg')
    assert labels == {'a': ('cat', ), 'x': ('dog', )}
    for part in ("1 of 3 names match no photo: 'x.jpg'.",
                 "nothing about 1 of 3 photos: 'b'.",
                 "left out 1 images that are not tagged yet: 'c'. If they "):
        assert part in said
    labels = read('x.csv', '--normal', '', content=text)[1]
    assert labels['c'] == ()


TAGS = 'image,tags\na,jeans\nb,pants;null\nc,null\nd,good\ne,cat\n'


@pytest.mark.parametrize('args, wanted', [
    ('--rename jeans=pants --ignore null --normal good',
     dict(a=('pants', ), b=('pants', ), d=(), e=('cat', ))),
    ('--only cat', dict(a=(), b=(), d=(), e=('cat', ))),
    ('--only pants --rename jeans=pants good=pants --normal null',
     dict(a=('pants', ), b=('pants', ), c=(), d=('pants', ), e=())),
])
def test_tags_are_chosen(read, args, wanted):
    assert read('x.csv', *args.split(), content=TAGS)[1] == wanted


@pytest.mark.parametrize('args, message', [
    ('--only ca', "--only: found 'ca', which is not a tag of .* mean 'cat'"),
    ('--normal zzz', "--normal: found 'zzz'.* Its tags are 'cat', 'good'"),
    ('--rename cat', '--rename: found cat, expected pairs such as'),
    ('--column no', 'found image and tags. Choose one, such as --column'),
    ('--ignore jeans pants good cat null', 'no image has a tag'),
])
def test_wrong_choices_are_refused(read, args, message):
    with pytest.raises(SystemExit, match=message):
        read('x.csv', *args.split(), content=TAGS)


def task(*annotations, name='a.jpg'):
    """Make a task of Label Studio from (from_name, choices, cancelled)."""
    return dict(
        data=dict(image=name),
        annotations=[
            dict(
                was_cancelled=cancelled,
                result=[
                    dict(
                        type='choices',
                        from_name=question,
                        value=dict(choices=choices))
                ] if choices else [])
            for question, choices, cancelled in annotations
        ])


@pytest.mark.parametrize('name, content, wanted', [
    ('x.json', [
        task(('q', ['dog'], True), ('q', ['cat'], False)),
        task(('q', [], False), name='b.jpg'),
        task(('q', ['dog'], True), name='c.jpg'),
        task(name='d.jpg')
    ], dict(a=('cat', ), b=())),
    ('x.json', [
        dict(image='/data/upload/1/01234567-a.jpg', id=1, annotator=1,
             choice='cat'),
        dict(image='b.jpg', id=2, annotator=1,
             choice=dict(choices=['cat', 'dog']))
    ], dict(a=('cat', ), b=('cat', 'dog'))),
    ('x.csv', 'annotation_id,choice,id,image\n'
     '5,"{""choices"":[""cat"",""dog""]}",1,a.jpg\n6,cat,2,b.jpg\n',
     dict(a=('cat', 'dog'), b=('cat', ))),
    ('x.json', dict(classes=['cat', 'dog'],
                    labels=dict(a=1, b=None, c=[0, 1])),
     dict(a=('dog', ), c=('cat', 'dog'))),
    ('x.json', [dict(image='a.jpg', id=1, cat=1, dog=0),
                dict(image='b.jpg', id=2, cat=0, dog=None)],
     dict(a=('cat', ), b=())),
    ('x.json', {'a.jpg': {'cat': 1, 'dog': 0}, 'b.jpg': {'cat': 0},
                'c.jpg': {'cat': None}}, dict(a=('cat', ), b=())),
    ('x.xml', '<annotations><meta><labels><label><name>dog</name></label>'
     '<label><name>cat</name></label></labels></meta><image name="a.jpg">'
     '<tag label="cat"/></image><image name="b.jpg"/></annotations>',
     dict(a=('cat', ))),
])  # yapf: disable
def test_other_exports(read, name, content, wanted):
    if not isinstance(content, str):
        content = json.dumps(content)
    assert read(name, content=content)[1] == wanted


@pytest.mark.parametrize('text, wanted', [
    ('image,tags\na,"[\'cat\', \'dog\']"\nb,"[""cat""]"\nc,[]\n', PETS),
    ('image,tags\na,"[cat, dog]"\nb,[cat]\n', PETS),
    ('image|tags\na|cat,dog\nb|cat\n', PETS),
    ('"sep=\t"\nimage\ttags\na\tcat|dog\nb\tcat\n', PETS),
    (',image,tags\n0,a,cat;dog\n1,b,cat\n2,c,nan\n', PETS),
    ('tags,split,file name\ncat;dog,x,a\ncat,x,b\n<NA>,x,c\n', PETS),
    ('image,cat,dog,width\na,1,1,640\nb,1,0,480\nc,,,480\n', PETS),
    ('image,tags\na,"[""dog"", ""\u200bcat "", """"]"\nb,cat;cat\n', PETS),
    ('image,tags\ra,"cat\rdog"\rb,cat\r', PETS),
    ('Image Path,Class Name\na,cat\na,dog\u200b\nb,\ufeffcat\nb,\n', PETS),
])
def test_tables_of_other_programs(read, text, wanted):
    assert read('x.csv', content=text)[1] == wanted
    for encoding in ('utf-8-sig', 'utf-16'):
        assert read('x.csv', content=text.encode(encoding))[1] == wanted


@pytest.mark.parametrize('text, message', [
    ('image,tags,label\na,cat,dog\n',
     ':2: found tags and label. Choose one, such '
     'as --column tags'),
    ('image,0,1\na,1,0\n', ":2: found {'0': '1', '1': '0', 'image': 'a'}. Re"),
    ('image,width\na,1\n', ":2: found {'image': 'a', 'width': '1'}. Read is"),
    ('photo,cat,dog\na,1,0\n',
     ":2: found {'cat': '1', 'dog': '0', 'photo': 'a'}."),
    ('image,tags\n"a\nb",cat\n', ": control characters, such as a line end"),
    ('image,tags\na,"[\'cat\' \'dog\']"\n',
     ':2: while parsing a flow sequence'),
    ('image,tags\na,[3.5]\n', ':2: found [3.5], expected names'),
    ('image,label,confidence\na,cat,0.7\n',
     ":2: found '0.7' in the column 'confidence', expected 1 or 0"),
    ('image,tags\na,c\0at\n', ': holds NUL characters'),
    ('image,tags\na,"%s"\n' % ('x' * 200000), ': field larger than'),
])
def test_refused_tables(tmp_path, read, text, message):
    with pytest.raises(
            SystemExit, match='^' + re.escape(f'{tmp_path}/x.csv{message}')):
        read('x.csv', content=text)
    assert not (tmp_path / 'image_labels.txt').exists()


@pytest.mark.parametrize('name, text, message', [
    ('x.json', '{"a.jpg": ["cat"], "a.jpg": ["dog"]}', "'a.jpg' stands there"),
    ('x.jsonl', '{"image": "a", "tags": "cat"}\n{"image": "b"}\n',
     "x.jsonl:2: found {'image': 'b'}. Read"),
    ('x.jsonl', '{"image": "a", "tags": "cat"}\n{"image"\n',
     "x.jsonl:2: Expecting ':' delimiter"),
    ('x.xml', '<annotation/>', 'x.xml: found <annotation>. Read is "CVAT'),
    ('x.xml', '<annotations>', 'x.xml: no element found'),
    ('data.yaml', 'nc: 2', "data.yaml: no 'names'. Read is data.yaml with"),
    ('x.json', json.dumps([task(('q', ['dog'], 0), ('p', ['cat'], 0))]),
     'found tags of p and q. Choose one, such as --column p'),
    ('x.json', '[{"data": {}, "annotations": []}]',
     'x.json: list index out of range. Read is'),
    ('x.json', '{"classes": ["cat"], "labels": {"a": 1}}',
     "Read is FiftyOne's labels.json"),
    ('x.doc', '', 'x.doc: not recognised. Read are tables'),
    ('x.txt', '# cat,dog\nt0: cat\nt0.jpg: dog\n',
     "x.txt:3: 't0.jpg' has other tags than 't0' in line 2"),
])  # yapf: disable
def test_other_refused_files(read, name, text, message):
    with pytest.raises(SystemExit, match=re.escape(message)):
        read(name, content=text)


def test_yolo(tmp_path, make, read):  # noqa: F811
    """Read labels beside the images, as Roboflow writes them."""
    text = 'names: [cat, dog]'
    for name, boxes in dict(a='1 .5 .5 .1 .1\n0 .5 .5 .1 .1\n', b='').items():
        path = tmp_path / f'train/labels/{name}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(boxes)
    photos = 'train/images/a.jpg train/images/b.jpg train/images/c.jpg'
    classes, labels, said = read('data.yaml', content=text, photos=photos)
    assert (classes, labels) == (('cat', 'dog'), {
        'images/a': ('cat', 'dog'),
        'images/b': ()
    })
    assert 'nothing about 1 of 3 photos' in said
    assert make('--from', 'yolo')[1] == labels
    (tmp_path / 'train/labels/a.txt').write_text('\n2 .5 .5 .1 .1\n')
    with pytest.raises(SystemExit, match="a.txt:2: found the class '2'"):
        read('data.yaml', content=text)


@pytest.mark.parametrize('photos, args, wanted', [
    ('x-[101].png sub/y-[0,0,0].png', '--pattern {stem}-[{onehot}] '
     '--classes cat,cow,dog', {
         'sub/y-[0,0,0]': (),
         'x-[101]': ('cat', 'dog')
     }),
    ('hot_dog_001.jpg cat_2.jpg', '--pattern {tags}_{stem}', {
        'cat_2': ('cat', ),
        'hot_dog_001': ('hot_dog', )
    }),
    ('1-a+b.jpg', '--pattern {stem}-{tags} --split-at +', {
        '1-a+b': ('a', 'b')
    }),
])
def test_names_of_files(tmp_path, make, photos, args, wanted):  # noqa: F811
    for photo in photos.split():
        path = tmp_path / 'JPEGImages' / photo
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert make('--from', 'names', *args.split())[1] == wanted
    (tmp_path / 'JPEGImages/odd.jpg').touch()
    with pytest.raises(SystemExit, match="'odd' does not fit --pattern"):
        make('--from', 'names', *args.split())


def test_folders(tmp_path, read):
    for name in ('good/1.jpg', 'crack/2.jpg', 'crack/sub/3.jpg'):
        path = tmp_path / 'tiles' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    shutil.rmtree(tmp_path / 'JPEGImages', ignore_errors=True)
    assert read(
        'tiles/notes.md', '--file', 'tiles', '--normal', 'good',
        content='')[:2] == (('crack', ), {
            'crack/2': ('crack', ),
            'crack/sub/3': ('crack', ),
            'good/1': ()
        })
    (tmp_path / 'tiles').rename(tmp_path / 'train')
    with pytest.raises(SystemExit, match='not recognised'):
        read('x', '--file', '.', content='')
