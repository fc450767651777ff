# Copyright (c) mmseg_afa contributors. All rights reserved.
import io
import os
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mmseg_afa.datasets import PascalVOCWeakDataset, read_label_file
from mmseg_afa.datasets.mask_file import read_mask
from tools.dataset_converters import voc_aug
from .voc_archives import (TRAIN, TRAINAUG, VAL, make_mask, with_void,
                           write_aug, write_sbd, write_sbd_mask, write_voc)

CLASSES = PascalVOCWeakDataset.METAINFO['classes']
EXPECT = ('--expect', 5, 2)


def main(*args):
    voc_aug.main(list(map(str, args)))


@pytest.fixture(scope='module')
def downloads(tmp_path_factory):
    """Write the archives, and the folders that they unpack to."""
    folder = tmp_path_factory.mktemp('downloads')
    older = folder / 'VOCdevkit/VOC2007/JPEGImages'
    older.mkdir(parents=True)
    (older / '000001.jpg').write_bytes(b'of another year')
    write_voc(folder, [*TRAINAUG, *VAL, '2009_000001'])
    write_sbd(folder)
    write_aug(folder)
    for name, kind, content in (('voc', 'tar', 'VOCdevkit'),
                                ('benchmark', 'gztar', 'benchmark_RELEASE'),
                                ('aug', 'zip', 'SegmentationClassAug')):
        shutil.make_archive(str(folder / name), kind, folder, content)
    return folder


def make(root, downloads, *more):
    main(root, '--voc', downloads / 'voc.tar', '--sbd',
         downloads / 'benchmark.tar.gz', *EXPECT, *more)
    return root


@pytest.fixture
def complete(tmp_path, downloads):
    return make(tmp_path / 'complete', downloads)


def snapshot(folder):
    """Read each file of a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def check_data_set(root):
    """Compare masks, lists and label file with what the archives hold."""
    lists = root / 'ImageSets/Segmentation'
    assert (lists / 'trainaug.txt').read_text().split() == TRAINAUG
    assert (lists / 'val.txt').read_text().split() == VAL
    for name in [*TRAINAUG, *VAL]:
        # VOC's own masks before those that SBD has of the same images
        own = name in TRAIN + VAL
        path = root / f'SegmentationClassAug/{name}.png'
        np.testing.assert_array_equal(
            read_mask(str(path), 21),
            with_void(make_mask(name)) if own else make_mask(name))
    assert read_label_file(str(root / 'image_labels.txt')) == (CLASSES[1:], {
        name: (CLASSES[1 + int(name[-1])], 'tvmonitor')
        for name in TRAINAUG
    })
    assert Counter(os.path.dirname(path) for path in snapshot(root)) == {
        '': 1,  # the label file
        'JPEGImages': 8,
        'Annotations': 8,
        'SegmentationClass': 4,
        'SegmentationClassAug': 7,
        'ImageSets/Segmentation': 3,
    }
    assert len(PascalVOCWeakDataset(data_root=str(root))) == 5


@pytest.mark.parametrize('voc, other', [
    ('voc.tar', ('--sbd', 'benchmark.tar.gz')),
    ('VOCdevkit', ('--sbd', 'benchmark_RELEASE')),
    ('VOCdevkit/VOC2012', ('--aug', 'aug.zip')),
    ('.', ('--aug', 'SegmentationClassAug')),
])
def test_one_command_makes_all_that_training_needs(tmp_path, downloads, voc,
                                                   other):
    main(tmp_path, '--voc', downloads / voc, other[0], downloads / other[1],
         *EXPECT)
    check_data_set(tmp_path)


def test_voc_that_is_unpacked_is_kept(tmp_path, downloads):
    root = write_voc(tmp_path, [*TRAINAUG, *VAL])
    args = root, '--sbd', downloads / 'benchmark.tar.gz', *EXPECT
    before = snapshot(root)
    main(*args)
    assert before.items() <= snapshot(root).items()
    for name in ('JPEGImages/2007_000003.jpg',
                 'SegmentationClass/2007_000003.png'):
        (root / name).unlink()
        with pytest.raises(SystemExit, match=name):
            main(*args)


@pytest.mark.parametrize('name', [
    'JPEGImages/2008_000005.jpg', 'SegmentationClassAug/2008_000005.png',
    'ImageSets/Segmentation/trainaug.txt'
])
def test_other_files_are_replaced_only_if_asked(complete, downloads, name):
    wanted = snapshot(complete)
    (complete / name).write_bytes(b'mine')
    with pytest.raises(SystemExit, match=f'{name}: differs from what'):
        make(complete, downloads)
    assert (complete / name).read_bytes() == b'mine'
    make(complete, downloads, '--overwrite')
    assert snapshot(complete) == wanted


def test_other_counts(tmp_path, downloads):
    with pytest.raises(
            SystemExit,
            match='found 5 training and 2 validation images, expected 10,582 '
            'and 1,449. .*aug.zip has 7 masks'):
        main(tmp_path, '--voc', downloads / 'voc.tar', '--aug',
             downloads / 'aug.zip')
    assert not (tmp_path / 'SegmentationClassAug').exists()


@pytest.mark.parametrize('name, mask, message', [
    ('2008_000005', make_mask('2007_000002'),
     r'has shape \(22, 32\), its image \(25, 35\)'),
    ('2008_000006', make_mask('2008_000006') + 3, r'found the values \[23\]'),
])
def test_masks_that_do_not_fit(tmp_path, name, mask, message):
    root, sbd = write_voc(tmp_path, [*TRAINAUG, *VAL]), write_sbd(tmp_path)
    write_sbd_mask(sbd / f'cls/{name}.mat', mask)
    with pytest.raises(SystemExit, match=f'{name}.png: {message}'):
        main(root, '--sbd', sbd, *EXPECT)
    assert not (root / 'ImageSets/Segmentation/trainaug.txt').exists()


@pytest.mark.parametrize('name, option, other', [
    ('voc.tar', '--voc', ('--sbd', 'benchmark.tar.gz')),
    ('benchmark.tar.gz', '--sbd', ('--voc', 'voc.tar')),
    ('aug.zip', '--aug', ('--voc', 'voc.tar')),
])
def test_a_download_that_was_cut_off(tmp_path, downloads, name, option, other):
    path, content = tmp_path / name, (downloads / name).read_bytes()
    path.write_bytes(content[:len(content) * 2 // 3])
    with pytest.raises(
            SystemExit,
            match=f'{name}: not a tar or zip file, or a |'
            'png: no such mask'):
        main(tmp_path / 'root', option, path, other[0], downloads / other[1],
             *EXPECT)


def test_wrong_paths(tmp_path, downloads):
    sbd = downloads / 'benchmark.tar.gz'
    for args, message in (
        (('--sbd', sbd), 'root/ImageSets/Segmentation/train.txt or val.txt: '),
        (('--voc', tmp_path / 'a.tar', '--sbd', sbd), 'a.tar: no such file'),
    ):
        with pytest.raises(SystemExit, match=message):
            main(tmp_path / 'root', *args, *EXPECT)


def test_an_archive_cannot_write_elsewhere(tmp_path, downloads):
    """Ignore links, and paths out of the data set."""
    outside, evil = tmp_path / 'outside', 'JPEGImages/evil.jpg'
    outside.mkdir()
    with tarfile.open(tmp_path / 'voc.tar', 'w') as archive:
        for name, type, link in ((f'../../../{evil}', tarfile.REGTYPE, ''),
                                 (f'{outside}/VOC2012/{evil}', tarfile.REGTYPE,
                                  ''), ('JPEGImages', tarfile.SYMTYPE,
                                        str(outside)), ('JPEGImages/link.jpg',
                                                        tarfile.LNKTYPE,
                                                        '../../voc.tar')):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = type, link
            member.size = 4 * (type == tarfile.REGTYPE)
            archive.addfile(member, io.BytesIO(b'data'))
    with pytest.raises(SystemExit, match='no such file'):
        main(tmp_path / 'data', '--voc', tmp_path / 'voc.tar', '--sbd',
             downloads / 'benchmark.tar.gz')
    assert sorted(os.listdir(tmp_path)) == ['data', 'outside', 'voc.tar']
    assert not list(outside.iterdir())
    assert snapshot(tmp_path / 'data') == {evil: b'data'}


def test_interrupted_and_started_again(tmp_path, downloads, monkeypatch):
    """Do not take half of a file for the whole."""
    write_bytes, written = Path.write_bytes, []

    def stop(path, content):
        written.append(path)
        if len(written) > 26:
            write_bytes(path, content[:len(content) // 2])
            raise KeyboardInterrupt
        write_bytes(path, content)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, 'write_bytes', stop)
        make(tmp_path, downloads)
    assert len(snapshot(tmp_path)) == 26
    make(tmp_path, downloads)
    check_data_set(tmp_path)
