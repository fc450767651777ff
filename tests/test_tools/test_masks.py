# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Corrections of other tools come back as masks."""
import base64
import json
import zipfile
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_afa.apis.formats import FORMATS, encode_rle
from mmseg_afa.datasets.mask_file import encode_mask
from tests.test_apis.test_formats import KNOWN, NAMES, PALETTE
from tests.test_apis.test_formats import masks as exported  # noqa: F401

FOLDER = Path(__file__).parents[2] / 'tools/dataset_converters'
CAT, DOG = 'cat & mouse', 'dog'


@pytest.fixture
def convert(tmp_path, monkeypatch):
    """Run the command on a file, and read the masks that it writes."""
    monkeypatch.syspath_prepend(str(FOLDER))
    from masks import main

    def convert(source, file, *options):
        if isinstance(file, (dict, list)):
            content, file = file, tmp_path / 'file.json'
            file.write_text(json.dumps(content))
        if '--label-file' not in options:
            options += '--classes', f'{CAT},{DOG}'
        out = tmp_path / 'out/trusted'
        main([
            str(out), '--from', source, '--file',
            str(file), *map(str, options)
        ])
        assert [p.name for p in out.parent.iterdir()] == ['trusted']
        return {
            path.relative_to(out).with_suffix('').as_posix():
            np.array(Image.open(path))
            for path in out.rglob('*.png')
        }

    return convert


@pytest.fixture
def refused(convert, tmp_path):
    """Run the command on a file that it refuses, and return the message."""

    def refused(*arguments):
        with pytest.raises(SystemExit) as error:
            convert(*arguments)
        assert not list(tmp_path.glob('out/*'))  # nothing half-written
        return str(error.value)

    return refused


def check(found):
    """Compare with the exported masks, of which a corner became a dog."""
    expected = dict(zip(NAMES, [pixels.copy() for pixels in KNOWN]))
    expected[NAMES[0]][7:, 12:] = 2
    assert found.keys() == expected.keys()
    for name, mask in found.items():
        assert mask.dtype == np.uint8 and (mask == expected[name]).all()


def test_cvat_round_trip(exported, tmp_path, convert):  # noqa: F811
    """CVAT writes RGB pictures, and parts and actions in the label map."""
    source = zipfile.ZipFile(FORMATS['cvat'](exported, tmp_path))
    path = tmp_path / 'job.zip'
    with zipfile.ZipFile(path, 'w') as job:
        job.writestr(
            'labelmap.txt', '# label:color_rgb:parts:actions\n' +
            source.read('labelmap.txt').decode())
        for name, number in zip(NAMES, range(3)):
            file = f'SegmentationClass/{name}.png'
            picture = Image.open(BytesIO(source.read(file))).convert('RGB')
            if number == 0:
                picture.paste(tuple(PALETTE[2]), (12, 7, 19, 11))
            content = BytesIO()
            picture.save(content, 'PNG')
            job.writestr(file, content.getvalue())
            job.writestr(f'SegmentationObject/{name}.png', b'')
    labels = tmp_path / 'image_labels.txt'
    labels.write_text(f'# {CAT},{DOG}\na: dog\n')
    check(convert('cvat', path, '--label-file', labels))


def test_cvat_folder(tmp_path, convert):
    (tmp_path / 'SegmentationClass').mkdir()
    Image.new('RGB', (2, 1),
              (9, 9, 8)).save(tmp_path / 'SegmentationClass/x.png')
    (tmp_path / 'labelmap.txt').write_text(f'{DOG}:9,9,8::\n')
    assert convert('cvat', tmp_path)['x'].tolist() == [[2, 2]]


def photos_of(exported):  # noqa: F811
    return Path(exported[0].photo.path).parent


def test_labelstudio_round_trip(exported, tmp_path, convert):  # noqa: F811
    """The first annotation, a cancelled and an untouched task do not count."""
    path = FORMATS['labelstudio'](exported, tmp_path)
    tasks = json.loads(path.read_text())
    for task in tasks:
        result = task.pop('predictions')[0]['result']
        task['annotations'] = [
            dict(result=result, updated_at='2026-01-03T00:00:00Z'),
            dict(result=[], updated_at='2026-01-02T00:00:00Z'),
            dict(
                result=[],
                was_cancelled=True,
                updated_at='2026-01-04T00:00:00Z')
        ]
    # a tag of the same project, and a dog that is painted over the cat
    shown = np.zeros((11, 19), bool)
    shown[7:, 12:] = True
    first = tasks[0]['annotations'][0]
    painted = dict(
        first['result'][0],
        value=dict(format='rle', rle=encode_rle(shown), brushlabels=[DOG]))
    first['result'] = [
        *first['result'],
        dict(type='choices', value=dict(choices=['fine'])), painted
    ]
    tasks.append(dict(tasks[0], annotations=[]))
    tasks.append(dict(tasks[0], annotations=tasks[0]['annotations'][2:]))
    check(convert('labelstudio', tasks, '--photos', photos_of(exported)))


def brush(value, size=(4, 6), kind='brushlabels'):
    """Make a task with one result, uploaded to Label Studio."""
    result = dict(
        type=kind,
        original_height=size[0],
        original_width=size[1],
        image_rotation=0,
        value=value)
    return dict(
        data=dict(image='/data/upload/3/0a1b2c3d-h%C3%A4user.jpg'),
        annotations=[dict(result=[result])])


def test_labelstudio_polygon_of_an_upload(convert):
    corners = [[0, 0], [50, 0], [50, 50], [0, 50]]
    value = dict(points=corners, polygonlabels=[DOG])
    found = convert('labelstudio', [brush(value, kind='polygonlabels')])
    expected = np.zeros((4, 6))
    expected[:3, :4] = 2
    assert (found['häuser'] == expected).all()


def test_labelstudio_literal_values(convert, tmp_path):
    """Label Studio stores short runs, such as shaded edges, as they are."""
    alpha = np.array([0, 127, 128, 255, 255, 255, 255, 255], np.uint8)
    bits = f'{32:032b}{7:05b}' + ''.join(f'{s - 1:04b}' for s in (3, 4, 8, 16))
    values = np.repeat(alpha[:4], 4)
    bits += f'0{2:02b}{15:08b}' + ''.join(f'{v:08b}' for v in values)
    bits += f'1{3:02b}{15:016b}{255:08b}'
    rle = np.packbits(np.array(list(bits), np.uint8)).tolist()
    value = dict(format='rle', rle=rle, brushlabels=['unsure'])
    found = convert('labelstudio', [brush(value, (2, 4))])
    assert found['häuser'].tolist() == [[0, 0, 255, 255], [255] * 4]
    sdk = pytest.importorskip('label_studio_sdk.converter.brush')
    assert (sdk.decode_rle(rle).reshape(-1, 4)[:, 3] == alpha).all()


@pytest.mark.parametrize('instances', [False, True])
def test_coco_round_trip(
        exported,  # noqa: F811
        tmp_path,
        convert,
        instances):
    path = FORMATS['coco'](exported, tmp_path, instances=instances)
    results = json.loads(path.read_text())
    results.insert(0,
                   dict(
                       image_id=1,
                       category_id=2,
                       segmentation=[[12, 7, 19, 7, 19, 11, 12,
                                      11]]))  # smaller: on top
    path.write_text(json.dumps(results))
    check(convert('coco', path))


def test_labelme(tmp_path, convert):
    """Labelme writes a file beside each image."""
    (tmp_path / 'sub').mkdir()
    shapes = [
        dict(label=CAT, points=[[1.2, 1], [8, 1], [8, 7.8], [1, 8]],
             shape_type='polygon', group_id=None, flags={}),
        dict(label=DOG, points=[[6, 6], [11, 9]], shape_type='rectangle'),
        dict(label='__ignore__', points=[[3, 3], [4, 3]], shape_type='circle'),
    ]  # yapf: disable
    content = dict(
        version='5.4.1',
        shapes=shapes,
        imagePath='..\\x\\a.b.JPG',
        imageData=base64.b64encode(b'photo').decode(),
        imageHeight=10,
        imageWidth=12)
    (tmp_path / 'sub/a.b.json').write_text(json.dumps(content))
    expected = np.zeros((10, 12), np.uint8)
    expected[1:9, 1:9], expected[6:, 6:] = 1, 2
    cv2.circle(expected, (3, 3), 1, 255, -1)
    found = convert('labelme', tmp_path)
    assert list(found) == ['sub/a.b'] and (found['sub/a.b'] == expected).all()


def test_colours(tmp_path, convert, refused):
    table = tmp_path / 'colours.csv'
    table.write_text(f'name,r,g,b\n{CAT},10,20,30\n"{DOG}", 200,0,1\n'
                     'background,0,0,0\nunsure,224,224,192\n')
    (tmp_path / 'png').mkdir()
    pixels = np.array([[0, 1, 2], [255, 0, 0]], np.uint8)
    path = tmp_path / 'png/a.png'
    path.write_bytes(encode_mask(pixels, PALETTE))
    found = convert('colours', path.parent, '--colours', table)
    assert (found['a'] == pixels).all()


def test_unknown_colour(tmp_path, refused):
    table = tmp_path / 'colours.csv'
    table.write_text(f'{CAT},10,20,30\nbackground,0,0,0\n')
    Image.new('RGB', (3, 2), (1, 2, 255)).save(tmp_path / 'a.png')
    options = 'colours', tmp_path / 'a.png', '--colours', table
    assert ('a.png: found the colour (1, 2, 255) at 6 pixels, which the table '
            'of colours lacks. Read is a folder') in refused(*options)
    table.write_text('cat,1,2\n')
    assert "colours.csv:1: found 'cat,1,2', expected name,r,g,b" in refused(
        *options)
    table.write_text('cat,1,2,3\ndog,1,2,3\n')
    assert 'colours.csv:2: the colour (1, 2, 3) exc' in refused(*options)


RLE = dict(brushlabels=[DOG], rle=encode_rle(np.ones((4, 6), bool)))
DOGS = dict(RLE, brushlabels=['dogs'])


@pytest.mark.parametrize('task, message', [
    (brush(DOGS), "file.json: unknown tag 'dogs': did you mean 'dog'?"),
    (brush(RLE, (6, 5)), 'task 1: found 96 values of 8 bits, expected 120'),
    (brush(dict(RLE, rle=RLE['rle'][:9])), 'file.json: task 1: '),
    (brush(RLE, kind='rectanglelabels'), "task 1: no 'rectanglelabels'."),
    (brush(dict(rectanglelabels=[DOG]), kind='rectanglelabels'),
     "task 1: found 'rectanglelabels'. Read is Label Studio's JSON with"),
    (dict(brush(RLE), annotations=[dict(result=[dict(
        brush(RLE)['annotations'][0]['result'][0], image_rotation=90)])]),
     'task 1: found a rotated image.'),
    (brush(RLE, (10**6, 10**6)), 'at most 89478485 pixels'),
    (dict(data={}), "task 1: no 'annotations'. Read is"),
    ('text', 'task 1: '),
    (dict(brush(RLE), annotations=[]), 'found no mask (1 not annotated)'),
    (dict(brush(RLE), annotations=[dict(result=[])]), 'give --photos'),
])  # yapf: disable
def test_refused_tasks(refused, task, message):
    assert message in refused('labelstudio', [task])


def test_refused_names(refused, tmp_path, convert):
    """No file is written outside of the folder, and no name twice."""
    task = brush(RLE)
    assert "two masks of the photo 'häuser'" in refused(
        'labelstudio', [task, task])
    image = dict(id=1, file_name='sub/../../x.png', height=4, width=6)
    for image['file_name'] in ('sub/../../x.png', '/x.png', 'C:\\x.png'):
        coco = dict(images=[image], annotations=[], categories=[])
        assert 'found the image' in refused('coco', coco)
    path = tmp_path / 'slip.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('labelmap.txt', 'background:0,0,0::\n')
        archive.writestr('SegmentationClass/../../../x.png',
                         encode_mask(np.zeros((2, 2), np.uint8)))
    assert 'found no mask' in refused('cvat', path)
    (tmp_path / 'photos').mkdir()
    Image.new('RGB', (6, 5)).save(tmp_path / 'photos/häuser.jpg')
    options = '--photos', tmp_path / 'photos'
    assert 'found height and width (4, 6), expected those of the photo, ' \
        '(5, 6)' in refused('labelstudio', [task], *options)
    task['data']['image'] = 'b.jpg'
    assert "found the image 'b.jpg', which is not among" in refused(
        'labelstudio', [task], *options)


@pytest.mark.parametrize('source, content', [
    ('cvat', b'PK'), ('labelme', b'{}'), ('coco', b'{"images": [{}]}'),
    ('coco', b'not JSON'), ('labelstudio', b'{"a": 1}'),
    ('labelme', b'{"shapes": 1, "imageHeight": "x"}')
])  # yapf: disable
def test_damaged_files(refused, tmp_path, source, content):
    path = tmp_path / 'broken.json'
    path.write_bytes(content)
    assert refused(source, path).startswith(str(path))


def test_folder_that_exists(convert, tmp_path):
    convert('labelstudio', [brush(RLE)])
    with pytest.raises(SystemExit, match='exists and is not empty'):
        convert('labelstudio', [brush(RLE)])
