# Copyright (c) mmseg_afa contributors. All rights reserved.
import json

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_afa.apis import MaskFolder, Photo

CLASSES, PALETTE = ('background', 'cat'), [[0, 0, 0], [1, 2, 3]]
MASK = [[0, 1], [1, 255]]


def folder(path, **settings):
    settings = dict(dict(sources=['seg'], unsure=0.5), **settings)
    return MaskFolder(path, settings, CLASSES, PALETTE, with_confidence=True)


def sample(mask=MASK):
    out = SegDataSample()
    out.seg_mask = PixelData(data=torch.tensor([mask], dtype=torch.uint8))
    out.seg_confidence = PixelData(data=torch.tensor([[[1., .5], [.5, .25]]]))
    out.set_field(torch.tensor([.25]), 'pred_image_scores')
    return out


def test_files(tmp_path):
    masks = folder(tmp_path / 'out')
    photo = Photo('sub/ü 1', 'photos/sub/ü 1.jpg')
    assert not masks.has(photo)
    masks.add(photo, sample(), ['cat'])
    assert masks.has(photo)
    image = Image.open(tmp_path / 'out/seg/sub/ü 1.png')
    assert image.mode == 'P' and (np.array(image) == MASK).all()
    palette = image.getpalette()
    assert palette[3:6] == [1, 2, 3] and palette[765:] == [224, 224, 192]
    confidence = Image.open(tmp_path / 'out/seg_confidence/sub/ü 1.png')
    assert np.array(confidence).tolist() == [[255, 128], [128, 64]]
    record, = masks.records([Photo('other', ''), photo])
    assert record == dict(
        photo='sub/ü 1',
        path='photos/sub/ü 1.jpg',
        size=[2, 2],
        tags=['cat'],
        scores=dict(cat=.25),
        sources=dict(
            seg=dict(
                classes=dict(
                    background=dict(area=.25, confidence=1.),
                    cat=dict(area=.5, confidence=.502),
                    unsure=dict(area=.25, confidence=.251)),
                remarks=dict(cat='tag that the classifier contradicts'))))


def test_going_on(tmp_path):
    masks = folder(tmp_path)
    photos = [Photo(name, name) for name in 'abc']
    for photo in photos[:2]:
        masks.add(photo, sample())
    # killed while a record was written, and a mask got lost
    with open(tmp_path / 'records.jsonl', 'ab') as journal:
        journal.write('{"photo": "ü'.encode()[:-1])
    masks.mask('seg', 'a').unlink()
    masks = folder(tmp_path)
    assert [masks.has(photo) for photo in photos] == [False, True, False]
    masks.add(photos[0], sample([[0, 0], [0, 0]]))
    masks.add(photos[2], sample())
    masks = folder(tmp_path)
    assert all(map(masks.has, photos))
    records = list(masks.records(photos))
    assert [r['photo'] for r in records] == ['a', 'b', 'c']
    assert list(records[0]['sources']['seg']['classes']) == ['background']


def test_other_files(tmp_path):
    (tmp_path / 'thesis.doc').touch()
    with pytest.raises(ValueError, match='holds files, but none of a run'):
        folder(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ['thesis.doc']


def test_masks_of_another_run(tmp_path):
    folder(tmp_path)
    with pytest.raises(ValueError, match='unsure was 0.5 and is 0.7'):
        folder(tmp_path, unsure=0.7)
    settings = json.loads((tmp_path / 'settings.json').read_text())
    assert settings['classes'] == list(CLASSES)
