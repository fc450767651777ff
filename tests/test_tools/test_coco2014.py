# Copyright (c) mmseg_afa contributors. All rights reserved.
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from mmengine import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS
from PIL import Image

from mmseg_afa.datasets import COCO2014WeakDataset, read_label_file
from mmseg_afa.datasets.mask_file import read_mask
from ..benchmarks.coco2014_synthetic import write_synthetic
from ..test_datasets.coco_folder import (CATEGORIES, CLASSES, annotation, box,
                                         compressed_rle, image, polygon, rle,
                                         write_annotations)

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/dataset_converters/coco2014.py'

A, B, C, D = (f'COCO_{split}2014_{id:012d}'
              for split, id in (('train', 9), ('train', 30), ('val', 42),
                                ('val', 73)))


@pytest.fixture
def main(monkeypatch):
    """The command in this process, which takes no time to start."""
    monkeypatch.syspath_prepend(str(TOOL.parent))
    from coco2014 import main
    return lambda *args: main(['--workers', '1', *map(str, args)])


def command(*args):
    """The command as a user gives it."""
    return dict(
        args=[sys.executable, str(TOOL), *map(str, args)],
        env={
            **os.environ, 'PYTHONPATH': str(ROOT)
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True)


def write_coco(root):
    """Annotations of two images for each split, and one image without."""
    write_annotations(
        root,
        'train',
        images=[image(30, 24, 20),
                image(9, 20, 30),
                image(50, 20, 30)],
        annotations=[
            annotation(3, 9, 'dog', polygon(0, 0, 10, 10)),
            annotation(1, 9, 'person', compressed_rle(box(20, 30, 2, 2, 4,
                                                          4))),
            annotation(900, 9, 'cat', rle(box(20, 30, 5, 5, 20, 20)), 1),
            annotation(2, 30, 'toothbrush', [[1, 1, 5, 5]]),
        ],
        categories=CATEGORIES[::-1])
    write_annotations(
        root,
        'val',
        annotations=[
            annotation(7, 42, 'stop sign', polygon(1, 2, 3, 4)),
            annotation(6, 42, 'zebra', polygon(1, 2, 3, 4)),
            annotation(8, 73, 'tv', rle(box(10, 10, 0, 0, 5, 5)), 1),
        ],
        images=[image(42, 8, 9, 'val'),
                image(73, 10, 10, 'val')],
        categories=CATEGORIES)
    return root


def masks(crowd):
    """What the masks are to show, 255 or the class at crowds."""
    a = np.zeros((20, 30), np.uint8)
    a[5:20, 5:20] = 255 if crowd == 'ignore' else 16  # cat
    a[:10, :10] = 17  # dog
    a[2:4, 2:4] = 1  # person
    c, d = np.zeros((8, 9), np.uint8), np.zeros((10, 10), np.uint8)
    c[1:3, 2:4] = 12  # stop sign, over an equally large zebra
    d[:5, :5] = 255 if crowd == 'ignore' else 63  # tv
    return {A: a, B: np.zeros((24, 20), np.uint8), C: c, D: d}


def read_masks(root):
    return {
        path.stem: read_mask(str(path), 81)
        for path in sorted(root.glob('SegmentationClass/*/*.png'))
    }


def contents(folder):
    """The bytes of every file below a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.is_dir()
        or path.read_bytes()
        for path in folder.rglob('*')
    }


def check_made(root, crowd, labels):
    found, expected = read_masks(root), masks(crowd)
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    classes, tags = read_label_file(str(root / 'image_labels.txt'))
    assert classes == CLASSES
    assert tags == labels
    lists = root / 'ImageSets/Segmentation'
    assert (lists / 'train.txt').read_text() == f'{A}\n{B}\n'
    assert (lists / 'val.txt').read_text() == f'{C}\n{D}\n'
    assert not list(root.glob('.*'))


def test_one_command_makes_everything(tmp_path):
    write_coco(tmp_path)
    process = subprocess.run(**command(tmp_path, '--workers', '2'))
    assert process.returncode == 0, process.stderr
    check_made(tmp_path, 'ignore', {
        A: ('person', 'dog'),
        B: (),
        C: ('stop sign', ),
        D: ()
    })
    assert ('train: 2 images with annotations, but 82081 were published: '
            in process.stdout)
    assert ('train: 2 tags; 1 more are annotated where no pixel of the mask '
            'shows them; 1 polygons have less than three' in process.stdout)
    assert ('val: 1 tags; 1 more are annotated' in process.stdout)
    for step in ('Reading train', 'Drawing train', 'Drawing val'):
        assert step in process.stderr


def test_crowds_as_their_class(tmp_path, main):
    main(write_coco(tmp_path), '--crowd', 'class')
    check_made(tmp_path, 'class', {
        A: ('person', 'cat', 'dog'),
        B: (),
        C: ('stop sign', ),
        D: ('tv', )
    })


def test_masks_have_the_palette_of_the_data_set(tmp_path, main):
    main(write_coco(tmp_path))
    path = tmp_path / f'SegmentationClass/train2014/{A}.png'
    with Image.open(path) as mask:
        assert mask.mode == 'P'
        assert mask.getpalette()[:3 * 81] == np.ravel(
            COCO2014WeakDataset.METAINFO['palette']).tolist()
    assert path.read_bytes()[24:26] == bytes([8, 3])  # bits, palette


def test_the_published_number_of_images(tmp_path, main, monkeypatch, capsys):
    monkeypatch.setattr(sys.modules['coco2014'], 'NUM_IMAGES',
                        dict(train=2, val=3))
    main(write_coco(tmp_path))
    out = capsys.readouterr().out
    assert 'train: 2 images with annotations, as published.' in out
    assert 'val: 2 images with annotations, but 3 were published: ' in out


@pytest.mark.parametrize('layout', ['{}2014', 'JPEGImages/{}'])
def test_the_shipped_config_reads_it(tmp_path, main, layout):
    main(write_coco(tmp_path))
    for name, mask in masks('ignore').items():
        folder = tmp_path / layout.format(name.split('_')[1][:-4])
        folder.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', mask.shape[::-1]).save(folder / f'{name}.jpg')
    cfg = Config.fromfile(ROOT / 'configs/_base_/datasets/coco14_weak.py')
    if layout == 'JPEGImages/{}':
        cfg.merge_from_dict({
            f'{loader}_dataloader.dataset.data_prefix.img_path':
            f'JPEGImages/{"train" if loader == "train" else "val"}'
            for loader in ('train', 'val', 'test')
        })
    samples = []
    with DefaultScope.overwrite_default_scope('mmseg'):
        for loader in (cfg.train_dataloader, cfg.test_dataloader):
            loader.dataset.data_root = str(tmp_path)
            dataset = DATASETS.build(loader.dataset)
            assert len(dataset) == 2
            samples.append(dataset[0]['data_samples'])
    train, val = samples
    assert np.flatnonzero(train.image_label).tolist() == [0, 16]
    assert np.flatnonzero(val.image_label).tolist() == [11]
    np.testing.assert_array_equal(val.gt_sem_seg.data[0], masks('ignore')[C])


def test_a_complete_data_set_is_left_alone(tmp_path, main, capsys):
    main(write_coco(tmp_path))
    before = contents(tmp_path)
    capsys.readouterr()
    main(tmp_path)
    captured = capsys.readouterr()
    assert captured.out == f'{tmp_path}: complete, nothing to do.\n'
    assert captured.err == ''  # it read and drew nothing
    assert contents(tmp_path) == before


@pytest.mark.parametrize('lost', [
    f'SegmentationClass/val2014/{D}.png',
    'SegmentationClass/val2014/parameters.json',
    'ImageSets/Segmentation/train.txt', 'image_labels.txt'
])
def test_what_is_lost_is_made_again(tmp_path, main, lost):
    main(write_coco(tmp_path))
    before = contents(tmp_path)
    kept = tmp_path / f'SegmentationClass/train2014/{A}.png'
    time_made = kept.stat().st_mtime_ns
    (tmp_path / lost).unlink()
    if lost.endswith('parameters.json'):
        with pytest.raises(SystemExit, match='not by this command'):
            main(tmp_path)
        main(tmp_path, '--overwrite')
    else:
        main(tmp_path)
    assert contents(tmp_path) == before
    assert kept.stat().st_mtime_ns == time_made


def test_one_split_after_the_other(tmp_path, main):
    main(write_coco(tmp_path / 'both'))
    write_coco(tmp_path / 'each')
    main(tmp_path / 'each', '--splits', 'val')
    _, labels = read_label_file(str(tmp_path / 'each/image_labels.txt'))
    assert list(labels) == [C, D]
    main(tmp_path / 'each', '--splits', 'train', 'train')
    assert contents(tmp_path / 'each') == contents(tmp_path / 'both')


def test_lines_of_other_images_stay(tmp_path, main):
    write_coco(tmp_path)
    path = tmp_path / 'image_labels.txt'
    path.write_text('mine: dog\n')
    main(tmp_path)
    _, labels = read_label_file(str(path))
    assert labels['mine'] == ('dog', ) and len(labels) == 5


@pytest.mark.parametrize('step, call', [('read_annotations', 2),
                                        ('claim_masks', 1), ('claim_masks', 2),
                                        ('encode_mask', 2), ('make_masks', 2),
                                        ('add_labels', 1),
                                        ('write_image_list', 1),
                                        ('write_image_list', 2),
                                        ('write_parameters', 3),
                                        ('write_parameters', 4)])
def test_stopped_at_any_step(tmp_path, main, monkeypatch, step, call):
    main(write_coco(tmp_path / 'whole'))
    write_coco(tmp_path / 'stopped')
    calls = []

    def stop(*args, **kwargs):
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    original = getattr(sys.modules['coco2014'], step)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules['coco2014'], step, stop)
        with pytest.raises(KeyboardInterrupt):
            main(tmp_path / 'stopped')
    main(tmp_path / 'stopped')
    assert contents(tmp_path / 'stopped') == contents(tmp_path / 'whole')


def test_other_masks_are_not_mixed_with(tmp_path, main):
    main(write_coco(tmp_path))
    before = contents(tmp_path)
    with pytest.raises(
            SystemExit,
            match="train2014: holds 2 masks .*crowd 'ignore', now "
            "'class'"):
        main(tmp_path, '--crowd', 'class')
    annotations = tmp_path / 'annotations/instances_val2014.json'
    annotations.write_bytes(annotations.read_bytes() + b'\n')
    with pytest.raises(SystemExit, match='val2014: holds 2 masks .*sha256'):
        main(tmp_path, '--splits', 'val')
    after = contents(tmp_path)
    del before[f'annotations/{annotations.name}']
    del after[f'annotations/{annotations.name}']
    assert after == before

    main(tmp_path, '--crowd', 'class', '--overwrite')
    expected = tmp_path / 'expected'
    shutil.copytree(tmp_path / 'annotations', expected / 'annotations')
    main(expected, '--crowd', 'class')
    expected = contents(expected)
    after = contents(tmp_path)
    assert {name: after[name] for name in expected} == expected


def test_masks_of_somebody_else(tmp_path, main):
    mask = write_coco(tmp_path) / f'SegmentationClass/train2014/{A}.png'
    mask.parent.mkdir(parents=True)
    Image.new('L', (30, 20), 7).save(mask)
    with pytest.raises(SystemExit, match='holds 1 masks .*not by this comman'):
        main(tmp_path)
    assert read_mask(str(mask), 81).min() == 7
    main(tmp_path, '--overwrite')
    np.testing.assert_array_equal(read_mask(str(mask), 81), masks('ignore')[A])


def test_a_list_of_other_images(tmp_path, main):
    path = write_coco(tmp_path) / 'ImageSets/Segmentation/val.txt'
    path.parent.mkdir(parents=True)
    path.write_text(f'{D}\n')
    with pytest.raises(SystemExit, match='val.txt: names 1 images, which'):
        main(tmp_path)
    assert path.read_text() == f'{D}\n'
    main(tmp_path, '--overwrite')
    assert path.read_text() == f'{C}\n{D}\n'


def test_other_tags(tmp_path, main):
    path = write_coco(tmp_path) / 'image_labels.txt'
    path.write_text(f'{A}: dog\n')
    with pytest.raises(SystemExit, match=f'other tags .* for {A!r}'):
        main(tmp_path)
    assert path.read_text() == f'{A}: dog\n'
    main(tmp_path, '--overwrite')
    assert read_label_file(str(path))[1][A] == ('person', 'dog')


@pytest.mark.parametrize('file_name', ['../../x.jpg', '/tmp/x.jpg'])
def test_a_name_that_leads_out_writes_nothing(tmp_path, main, file_name):
    root = tmp_path / 'a/b'
    path = write_annotations(
        root,
        'train',
        images=[{
            **image(9, 5, 5), 'file_name': file_name
        }],
        annotations=[annotation(1, 9, 'dog', polygon(0, 0, 2, 2))],
        categories=CATEGORIES)
    with pytest.raises(
            SystemExit, match=f'{path}: image 9: .* leads out of the folder'):
        main(root, '--splits', 'train')
    assert not [*tmp_path.rglob('*.png'), *Path('/tmp').glob('x.png')]


def test_broken_annotations_do_no_harm(tmp_path, main):
    main(write_coco(tmp_path))
    before = read_masks(tmp_path)
    path = tmp_path / 'annotations/instances_val2014.json'
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SystemExit, match=f'{path}: no JSON file, or a dam'):
        main(tmp_path, '--overwrite')
    assert read_masks(tmp_path).keys() == before.keys()


def test_a_broken_annotation_is_named(tmp_path, main):
    path = write_annotations(
        tmp_path,
        'train',
        images=[image(9, 5, 5)],
        annotations=[annotation(1, 9, 'dog', [[1, 2, 3]])],
        categories=CATEGORIES)
    with pytest.raises(
            SystemExit, match=f'{path}: annotation 1: found the polygon '):
        main(tmp_path, '--splits', 'train')


def test_missing_annotations(tmp_path, main):
    write_coco(tmp_path)
    (tmp_path / 'annotations/instances_val2014.json').unlink()
    with pytest.raises(SystemExit, match='val2014.json: no such file. Get'):
        main(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['annotations']


def kill(root, when):
    """Start the command and kill it as soon as ``when()`` is true."""
    with subprocess.Popen(
            **command(root, '--splits', 'train', '--workers', '2')) as process:
        while not when():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.001)
        process.kill()
        process.communicate()  # until its processes, too, are gone
    assert process.returncode == -signal.SIGKILL


def test_killed_and_started_again(tmp_path, main):
    killed, whole = tmp_path / 'killed', tmp_path / 'whole'
    count = 400
    write_synthetic(killed, count)
    shutil.copytree(killed, whole)
    folder = killed / 'SegmentationClass/train2014'
    index = killed / '.coco2014_train'

    kill(killed, lambda: any(index.glob('.*.tmp.sqlite')))

    kill(killed, lambda: len(list(folder.glob('COCO*.png'))) >= 50)
    made = {path: path.stat().st_mtime_ns for path in folder.glob('COCO*.png')}
    assert 50 <= len(made) < count
    assert len(list(index.glob('[!.]*.sqlite'))) == 1
    for path in made:
        read_mask(str(path), 81)  # it is whole
    # Whether the processes left some is a matter of chance.
    for name in (f'{folder}/.COCO_train2014_000000000005.1.tmp.png',
                 f'{folder}/.parameters.1.tmp.json',
                 f'{index}/.0123.1.tmp.sqlite', f'{index}/0123.sqlite',
                 f'{killed}/.image_labels.1.tmp.txt'):
        Path(name).write_bytes(b'half of i')

    main(killed, '--splits', 'train')
    for path, time_made in made.items():
        assert path.stat().st_mtime_ns == time_made
    main(whole, '--splits', 'train', '--workers', '2')
    assert contents(killed) == contents(whole)
    names = [f'COCO_train2014_{i:012d}' for i in range(count)]
    assert (whole /
            'ImageSets/Segmentation/train.txt').read_text().split() == names
    assert sorted(path.stem for path in folder.glob('*.png')) == names
