# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import os.path as osp
import shutil
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine import fileio
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_afa.datasets import (COCO2014WeakDataset, PascalVOCWeakDataset,
                                weak_label)
from mmseg_afa.utils import UserError
from .voc_folder import CLASSES, IMAGES, make_mask, write_mask, write_voc

TRAIN_PIPELINE = [
    dict(type='LoadWeakImage'),
    dict(type='RandomScale', ratio_range=(0.5, 2.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='WeakRandomCrop', crop_size=(32, 48)),
    dict(type='PackWeakSegInputs')
]
VAL_PIPELINE = [
    dict(type='LoadWeakImage'),
    dict(type='LoadMask'),
    dict(type='ImageLabelFromMask'),
    dict(type='PackWeakSegInputs')
]


@pytest.fixture(autouse=True)
def mmseg_scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def voc(root, **kwargs):
    return DATASETS.build(
        dict(type='PascalVOCWeakDataset', data_root=str(root), **kwargs))


def own(root, **kwargs):
    cfg = dict(
        type='WeakLabelDataset',
        data_root=str(root),
        label_file='image_labels.txt',
        data_prefix=dict(img_path='JPEGImages'))
    return DATASETS.build({**cfg, **kwargs})


def label(*tags):
    return np.isin(CLASSES[1:], tags).astype(np.uint8)


def test_training_needs_no_masks(tmp_path):
    dataset = voc(write_voc(tmp_path, masks=False), pipeline=TRAIN_PIPELINE)
    shutil.rmtree(tmp_path / 'SegmentationClassAug')
    info = dataset.get_data_info(0)
    assert info['img_path'] == str(tmp_path / 'JPEGImages/2007_000001.jpg')
    assert info['num_classes'] == 21
    # cat is class 8 and person class 15
    np.testing.assert_array_equal(np.flatnonzero(info['image_label']), [7, 14])
    assert len(dataset) == 3
    for index, (_, _, tags) in enumerate(IMAGES.values()):
        packed = dataset[index]
        sample = packed['data_samples']
        assert packed['inputs'].shape == (3, 32, 48)
        assert packed['inputs'].dtype == torch.uint8
        assert 'gt_sem_seg' not in sample
        np.testing.assert_array_equal(sample.image_label, label(*tags))


NAME, SIZE = '2007_000001', (20, 30)  # of IMAGES


def trusted(root, **masks):
    (root / 'trusted').mkdir()
    for name, mask in masks.items():
        write_mask(root / f'trusted/{name}.png', mask)
    return dict(trusted_masks='trusted', pipeline=TRAIN_PIPELINE)


def test_trusted_masks(tmp_path):
    """Load masks where there are some; they move with the image."""
    write_voc(tmp_path)
    mask = np.full(SIZE, 8, np.uint8)
    mask[:, :SIZE[1] // 2] = 0
    options = trusted(tmp_path, **{NAME: mask, 'other': mask})
    with mock.patch('mmseg_afa.datasets.weak_label.print_log') as log:
        dataset = voc(tmp_path, **options)
    assert ("trusted: 1 of 2 PNG files have the name of a training image, not "
            "'other'. Correct") in log.call_args.args[0]
    rng = np.random.get_state()
    np.random.seed(0)
    samples = [dataset[i]['data_samples'] for i in range(3)]
    plain = voc(tmp_path, pipeline=TRAIN_PIPELINE)
    np.random.seed(0)
    images = [plain[i]['inputs'] for i in range(3)]
    np.random.set_state(rng)
    assert ['gt_sem_seg' in sample for sample in samples] == [1, 0, 0]
    found = samples[0].gt_sem_seg.data[0]
    assert set(found.unique().tolist()) <= {0, 8, 255}
    top, bottom, left, right = samples[0].img_box
    inside = torch.zeros_like(found)
    inside[top:bottom, left:right] = 1
    assert torch.equal(found == 255, inside == 0)
    # the same crop as without masks
    assert torch.equal((images[0].sum(0) == 0) | (inside == 1),
                       torch.ones_like(found).bool())
    assert not any('trusted' in voc(
        tmp_path, test_mode=True, trusted_masks='no').get_data_info(i)
                   for i in range(3))


def test_trusted_masks_replace_pseudo_labels(tmp_path):
    """Train a second network: LoadMask loads all masks."""
    write_voc(tmp_path)
    options = trusted(tmp_path, **{NAME: np.full(SIZE, 20, np.uint8)})
    options['pipeline'] = [TRAIN_PIPELINE[0], *VAL_PIPELINE[1:]]
    masks = [
        one['data_samples'].gt_sem_seg for one in voc(tmp_path, **options)
    ]
    assert (masks[0].data == 20).all()
    assert not any((mask.data == 20).any() for mask in masks[1:])


@pytest.mark.parametrize('change, message', [
    (lambda: {
        NAME: np.zeros((3, 4), np.uint8)
    }, r'height and width are \(3, 4\), those of'),
    (lambda: {
        NAME: np.full(SIZE, 21, np.uint8)
    }, r'found the values \[21\], expected 0 to 20'),
    (lambda: {
        'other': np.zeros(SIZE, np.uint8)
    }, "0 of 1 PNG files have the name of a training image, not 'other'"),
    (lambda: {}, 'trusted: 0 of 0 PNG files have'),
])
def test_wrong_trusted_masks(tmp_path, change, message):
    write_voc(tmp_path)
    options = trusted(tmp_path, **change())
    with pytest.raises(UserError, match=message):
        voc(tmp_path, **options)[0]


def test_validation_takes_labels_from_the_masks(tmp_path):
    write_voc(tmp_path)
    (tmp_path / 'image_labels.txt').unlink()
    dataset = voc(
        tmp_path,
        ann_file='ImageSets/Segmentation/val.txt',
        test_mode=True,
        pipeline=VAL_PIPELINE)
    for index, (height, width, tags) in enumerate(IMAGES.values()):
        packed = dataset[index]
        sample = packed['data_samples']
        assert packed['inputs'].shape == (3, height, width)
        np.testing.assert_array_equal(sample.image_label, label(*tags))
        np.testing.assert_array_equal(sample.gt_sem_seg.data[0],
                                      make_mask(height, width, tags))
        assert sample.img_box == (0, height, 0, width)


def test_testing_without_masks(tmp_path):
    write_voc(tmp_path, masks=False)
    options = dict(
        data_prefix=dict(img_path='JPEGImages'),
        test_mode=True,
        pipeline=VAL_PIPELINE[::3])
    # The label file knows these images.
    np.testing.assert_array_equal(
        voc(tmp_path, **options)[1]['data_samples'].image_label, label('dog'))
    options['label_file'] = None
    assert 'image_label' not in voc(tmp_path, **options)[1]['data_samples']


def test_classes_come_from_the_label_file(tmp_path):
    write_voc(tmp_path)
    lines = '# person,dog,cat\n2007_000001: cat\n2007_000002: dog\n'
    (tmp_path / 'image_labels.txt').write_text(lines + '2007_000003:\n')
    dataset = own(tmp_path)
    assert dataset.metainfo['classes'] == ('background', 'person', 'dog',
                                           'cat')
    assert dataset.metainfo['palette'] == PascalVOCWeakDataset.METAINFO[
        'palette'][:4]
    assert image_labels(dataset) == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def write_photos(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (20, 10)).save(path)


def image_labels(dataset):
    return [
        dataset.get_data_info(i)['image_label'].tolist()
        for i in range(len(dataset))
    ]


def test_photos_of_any_kind_and_name(tmp_path):
    """Accept names with and without suffix, of any letters."""
    names = ('a.JPG', 'b c.png', '\u00e9t\u00e9/\u732b.webp')
    write_photos(tmp_path / 'JPEGImages', *names)
    (tmp_path / 'image_labels.txt').write_text(
        '# cat,dog\na.JPG: cat\nb c: dog\n'
        '\u00e9t\u00e9/\u732b.webp: cat, dog\n',
        encoding='utf-8')
    everything = own(
        tmp_path,
        pipeline=TRAIN_PIPELINE,
        label_file=str(tmp_path / 'image_labels.txt'))
    assert [everything[i]['data_samples'].img_path for i in range(3)
            ] == [str(tmp_path / 'JPEGImages' / name) for name in names]
    assert image_labels(everything) == [[1, 0], [0, 1], [1, 1]]
    (tmp_path / 'list.txt').write_text('b c.png\na\n')
    assert image_labels(own(tmp_path, ann_file='list.txt')) == [[0, 1], [1, 0]]


def test_accents_in_either_form(tmp_path):
    """Match photos as macOS names them with names as typed."""
    write_voc(tmp_path)
    first = next(iter(IMAGES))
    for folder, suffix in (('JPEGImages', '.jpg'), ('SegmentationClassAug',
                                                    '.png')):
        os.rename(tmp_path / folder / f'{first}{suffix}',
                  tmp_path / folder / f'e\u0301te\u0301{suffix}')
    (tmp_path / 'list.txt').write_text('\xe9t\xe9\n', encoding='utf-8')
    (tmp_path / 'image_labels.txt').write_text(
        '\xe9t\xe9.JPG: dog\n', encoding='utf-8')
    dataset = voc(tmp_path, ann_file='list.txt', test_mode=True)
    info = dataset.get_data_info(0)
    np.testing.assert_array_equal(info['image_label'], label('dog'))
    assert osp.isfile(info['img_path']) and osp.isfile(info['seg_map_path'])


def test_some_of_the_classes(tmp_path):
    """Select and reorder classes by `metainfo`, as in mmseg."""
    dataset = voc(
        write_voc(tmp_path),
        metainfo=dict(classes=('background', 'person', 'cat')),
        pipeline=VAL_PIPELINE)
    for index, wanted in enumerate([[1, 1], [0, 0], [0, 0]]):
        info = dataset.get_data_info(index)
        np.testing.assert_array_equal(info['image_label'], wanted)
        np.testing.assert_array_equal(
            dataset[index]['data_samples'].image_label, wanted)
    mask = dataset[0]['data_samples'].gt_sem_seg.data[0]
    assert mask[:4, 0].tolist() == [0, 0, 2, 1] and mask[-1, 0] == 255
    # The class of the second image is left out: its pixels are ignored.
    mask = dataset[1]['data_samples'].gt_sem_seg.data[0]
    assert mask[:4, 0].tolist() == [0, 0, 255, 0]


def test_images_without_labels_are_counted(tmp_path):
    names = [f'x{i}' for i in range(50)]
    path = write_voc(tmp_path) / 'ImageSets/Segmentation/trainaug.txt'
    path.write_text('\n'.join(names))
    with pytest.raises(UserError) as error:
        voc(tmp_path)
    for part in ('no line for 50 of 50 images', "'x0', 'x1', 'x2', ... (50 in",
                 str(tmp_path / 'image_labels.txt'),
                 f'tools/dataset_converters/image_labels.py {tmp_path}',
                 'trainaug.txt'):
        assert part in str(error.value)


def test_photos_that_are_not_tagged_yet(tmp_path, monkeypatch):
    """Leave out photos of a folder, but none of a list."""
    write_voc(tmp_path)
    (tmp_path / 'image_labels.txt').write_text('# cat\n2007_000001: cat\n'
                                               '2007_000003:\n')
    said = []
    monkeypatch.setattr(weak_label, 'print_log',
                        lambda text, **_: said.append(text))
    assert image_labels(own(tmp_path)) == [[1], [0]]
    text, = said
    assert "no line for 1 of 3 images: '2007_000002'. They are left" in text
    assert len(own(tmp_path, test_mode=True)) == 3
    (tmp_path / 'list.txt').write_text('2007_000001\n2007_000002\n')
    with pytest.raises(UserError, match='no line for 1 of 2.* not tagged yet'):
        own(tmp_path, ann_file='list.txt')
    (tmp_path / 'list.txt').write_text('JPEGImages/2007_000003.jpg m/2007_0000'
                                       '03.png\na/2007_000001.jpg b/2007_00000'
                                       '1.png')
    assert image_labels(own(tmp_path, ann_file='list.txt')) == [[0], [1]]
    (tmp_path / 'image_labels.txt').write_text('# cat\nx: cat\n')
    with pytest.raises(UserError, match='no line for 3 of 3 images'):
        own(tmp_path)


def test_missing_label_file(tmp_path):
    (write_voc(tmp_path) / 'image_labels.txt').unlink()
    with pytest.raises(UserError, match='image_labels.py'):
        voc(tmp_path)
    with pytest.raises(UserError, match='No label_file: lists no classes'):
        own(tmp_path, label_file=None)
    (tmp_path / 'image_labels.txt').write_text('2007_000001: cat\n')
    with pytest.raises(UserError, match='image_labels.txt: lists no classes'):
        own(tmp_path)


def test_unknown_tags(tmp_path):
    write_voc(tmp_path)
    with open(tmp_path / 'image_labels.txt', 'a') as file:
        file.write('x: aeroplan\n')
    for build in (voc, own):
        with pytest.raises(
                UserError,
                match="image_labels.txt:5: unknown tag 'aeroplan': did you "
                "mean 'aeroplane'"):
            build(tmp_path)


def test_files_are_read_and_folders_listed_once(tmp_path):
    """Reading and listing is slow on network storage."""
    write_voc(tmp_path)
    for build, options in ((own, {}), (own, dict(test_mode=True)), (voc, {})):
        with mock.patch.multiple(
                fileio,
                get=mock.Mock(wraps=fileio.get),
                list_dir_or_file=mock.Mock(wraps=fileio.list_dir_or_file)):
            dataset = build(tmp_path, **options)
            read = [call[0][0] for call in fileio.get.call_args_list]
            listed = fileio.list_dir_or_file.call_args_list
        lists = [dataset.ann_file] if dataset.ann_file else []
        assert read == [dataset.label_file
                        ] + lists or read == lists + [dataset.label_file]
        assert [call[0][0]
                for call in listed] == [str(tmp_path / 'JPEGImages')]


def test_missing_images(tmp_path):
    write_voc(tmp_path)
    missing = tmp_path / 'JPEGImages/2007_000002.jpg'
    missing.unlink()
    with pytest.raises(
            UserError,
            match=f"1 of 3 files are missing: '{missing}'. Correct data_root"):
        voc(tmp_path)
    with pytest.raises(UserError, match='3 of 3 files are missing'):
        voc(tmp_path, data_prefix=dict(img_path='JPEGImage'))
    for folder in ('none', 'Annotations'):
        with pytest.raises(
                UserError, match=rf'{folder}: no such .* no file *'):
            own(tmp_path, data_prefix=dict(img_path=folder))


def test_missing_masks(tmp_path):
    write_voc(tmp_path)
    (tmp_path / 'SegmentationClassAug/2007_000002.png').unlink()
    voc(tmp_path)  # training does not need masks
    with pytest.raises(
            UserError,
            match='1 of 3 files are missing: .*SegmentationClassAug'):
        voc(tmp_path, test_mode=True)


def test_classes_without_background(tmp_path):
    write_voc(tmp_path)
    with pytest.raises(UserError, match="Put 'background' first"):
        own(tmp_path, metainfo=dict(classes=CLASSES[1:]))


def test_coco_metainfo():
    """List 80 object classes in the order of their ids, one colour each."""
    classes = COCO2014WeakDataset.METAINFO['classes']
    assert len(set(classes)) == 81 and classes[0] == 'background'
    numbers = dict(person=1, bicycle=2, cat=16, dog=17, toothbrush=80)
    numbers['stop sign'], numbers['dining table'] = 12, 61
    assert {name: classes.index(name) for name in numbers} == numbers
    palette = COCO2014WeakDataset.METAINFO['palette']
    assert len(set(map(tuple, palette))) == 81


@pytest.mark.parametrize('listed', ['cat,dog', 'dog', 'dog,cat,cow'])
def test_contradicting_classes(tmp_path, listed):
    """Refuse another number or order of classes: masks may follow either."""
    write_photos(tmp_path / 'JPEGImages', 'a.jpg')
    (tmp_path / 'image_labels.txt').write_text(f'# {listed}\na: dog\n')
    with pytest.raises(
            UserError, match=r'txt:1: lists the classes .*, but the data set'):
        own(tmp_path, metainfo=dict(classes=['background', 'dog', 'cat']))


@pytest.mark.parametrize('setting', [
    dict(reduce_zero_label=True),
    dict(filter_cfg=dict(min_size=32)),
    dict(ignore_index=254),
])
def test_settings_without_a_meaning(tmp_path, setting):
    write_photos(tmp_path / 'JPEGImages', 'a.jpg')
    key, = setting
    with pytest.raises(UserError, match=f'found {key}=.* Remove {key}'):
        own(tmp_path, metainfo=dict(classes=['background', 'dog']), **setting)


@pytest.mark.parametrize('setting, names', [
    (dict(indices=2), 'ab'),
    (dict(indices=[2, 0]), 'ca'),
    (dict(lazy_init=True), 'abc'),
    (dict(serialize_data=False), 'abc'),
])
def test_settings_of_the_parent(tmp_path, setting, names):
    write_photos(tmp_path / 'JPEGImages', 'a.jpg', 'b.jpg', 'c.jpg')
    (tmp_path / 'image_labels.txt').write_text('# A,B,C\na: A\nb: B\nc: C')
    dataset = own(tmp_path, **setting)
    found = [dataset[i] for i in range(len(dataset))]
    assert [Path(one['img_path']).stem for one in found] == list(names)
    for one, name in zip(found, names):
        assert one['image_label'].tolist() == [name == x for x in 'abc']


def test_no_tags(tmp_path):
    """Refuse training images of which none has a tag."""
    write_photos(tmp_path / 'JPEGImages', 'a.jpg')
    (tmp_path / 'image_labels.txt').write_text('# dog\na:')
    with pytest.raises(UserError, match='no training image has a tag'):
        own(tmp_path)
    assert len(own(tmp_path, test_mode=True)) == 1


def test_broken_files(tmp_path):
    write_photos(tmp_path / 'JPEGImages', 'a.jpg')
    (tmp_path / 'image_labels.txt').write_text('# dog\na: dog')
    with pytest.raises(UserError, match="broken_files: found 'skp'"):
        own(tmp_path, broken_files='skp')
