# Copyright (c) mmseg_afa contributors. All rights reserved.
import csv

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_afa.apis import OutputFolder, Photo
from mmseg_afa.apis.output_folder import COLUMNS, caption
from mmseg_afa.apis.photo_mask import MaskRecord, inconsistencies, uncertainty
from mmseg_afa.datasets.mask_file import encode_mask
from mmseg_afa.utils import UserError

CLASSES = ('background', 'cat', 'dog')
PALETTE = [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
MASK = [[0, 1], [1, 255]]
PHOTO = Photo('sub/ü "1"', 'photos/sub/ü 1.jpg')


def open_folder(path, **settings):
    settings = {
        **dict(sources=['seg'], unsure=.5, confidence=True),
        **settings
    }
    return OutputFolder(path, settings, CLASSES, PALETTE)


def sample(mask=MASK):
    out = SegDataSample()
    out.seg_mask = PixelData(data=torch.tensor([mask], dtype=torch.uint8))
    out.seg_confidence = PixelData(data=torch.tensor([[[1., .5], [.5, .25]]]))
    out.set_field(torch.tensor([.25, .75]), 'pred_image_scores')
    return out


def test_files_and_table(tmp_path):
    folder = open_folder(tmp_path / 'out')
    assert not folder.has(PHOTO)
    folder.add(PHOTO, sample(), ['cat'])
    assert folder.has(PHOTO)
    image = Image.open(folder.path / 'seg' / f'{PHOTO.name}.png')
    assert image.mode == 'P' and (np.array(image) == MASK).all()
    palette = image.getpalette()
    assert palette[3:6] == [1, 2, 3] and palette[765:] == [224, 224, 192]
    confidence = folder.path / 'seg_confidence' / f'{PHOTO.name}.png'
    assert np.array(Image.open(confidence)).tolist() == [[255, 128], [128, 64]]

    mask, = folder.masks('seg', [Photo('other', ''), PHOTO])
    assert (mask.read() == MASK).all()
    assert mask.record() == MaskRecord(
        statistics=dict(
            background=dict(area=.25, confidence=1.),
            cat=dict(area=.5, confidence=.502),
            unsure=dict(area=.25, confidence=.251)),
        scores=dict(cat=.25, dog=.75),
        tags=['cat'])
    assert caption(mask) == (
        'ü 1 [cat] 1.44 cat: tag that the classifier contradicts; '
        'dog: predicted, but no tag')

    table = folder.write_table([Photo('other', ''), PHOTO])
    with open(table, encoding='utf-8', newline='') as file:
        rows = list(csv.reader(file))
    start = [PHOTO.name, 'seg']
    assert rows == [
        list(COLUMNS), start + ['background', '0.25', '1.0', '', '', ''],
        start + [
            'cat', '0.5', '0.502', '0.25', 'yes',
            'tag that the classifier contradicts'
        ], start + ['unsure', '0.25', '0.251', '', '', ''],
        start + ['dog', '0', '', '0.75', 'no', 'predicted, but no tag']
    ]


def test_resume(tmp_path):
    folder = open_folder(tmp_path)
    photos = [Photo(name, name) for name in 'abcde']
    for photo in photos[:3]:
        folder.add(photo, sample())
    folder.mask('seg', photos[0]).path.unlink()
    folder = open_folder(tmp_path)
    assert [p.name for p in folder.remaining(photos, 1)] == ['a', 'd', 'e']
    # whole batches
    assert [p.name for p in folder.remaining(photos, 2)] == list('abcde')
    assert [p.name for p in folder.remaining(photos[1:3], 2)] == []


def test_settings_with_tuples(tmp_path):
    """JSON has no tuples; the settings are the same."""
    open_folder(tmp_path, refiner=dict(type='PAR', dilations=(1, 2)))
    open_folder(tmp_path, refiner=dict(type='PAR', dilations=(1, 2)))


def test_mask_corrected_by_another_program(tmp_path):
    """Its pixels are certain, and the classifier's scores are lost."""
    folder = open_folder(tmp_path)
    folder.add(PHOTO, sample(), ['cat'])
    mask = folder.mask('seg', PHOTO)
    mask.path.write_bytes(encode_mask(np.full((2, 2), 2, np.uint8), PALETTE))
    assert open_folder(tmp_path).remaining([PHOTO], 1) == []
    folder.add(PHOTO, sample())  # again, with another photo of its batch
    assert mask.record() == MaskRecord(
        dict(dog=dict(area=1., confidence=1.)), {}, None)


def test_folders_of_something_else(tmp_path):
    open_folder(tmp_path)
    with pytest.raises(UserError, match='unsure was 0.5 and is 0.7'):
        open_folder(tmp_path, unsure=0.7)
    (tmp_path / 'settings.json').rename(tmp_path / 'thesis.doc')
    with pytest.raises(UserError, match='holds files, but no settings.json'):
        open_folder(tmp_path)


def test_uncertainty():
    shown = dict(cat=dict(area=1., confidence=.9))
    assert uncertainty(MaskRecord(shown, {}, None)) == pytest.approx(.1)
    odd = MaskRecord(shown, dict(dog=.9), None)
    assert uncertainty(odd) == pytest.approx(1.1)


CONTRADICTED = 'tag that the classifier contradicts'


@pytest.mark.parametrize('shown, scores, tags, expected', [
    (['cat'], dict(cat=.9, dog=.1), ['cat'], {}),
    ([], dict(cat=.9, dog=.1), None, dict(cat='predicted, empty mask')),
    (['cat'], dict(cat=.2, dog=.8), ['cat'],
     dict(cat=CONTRADICTED, dog='predicted, but no tag')),
    ([], dict(cat=.2, dog=.1), ['cat'],
     dict(cat=f'tag with an empty mask; {CONTRADICTED}')),
    ([], {}, ['cat'], dict(cat='tag with an empty mask')),  # no classifier
])  # yapf: disable
def test_inconsistencies(shown, scores, tags, expected):
    assert inconsistencies(MaskRecord(shown, scores, tags)) == expected
