# Copyright (c) mmseg_afa contributors. All rights reserved.
import io
import os
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_afa.datasets import PascalVOCWeakDataset, read_label_file
from mmseg_afa.datasets.mask_file import read_mask
from tools.dataset_converters import voc_aug
from .voc_archives import (TRAIN, TRAINAUG, VAL, make_mask, with_void,
                           write_aug, write_sbd, write_sbd_mask, write_tar,
                           write_voc, write_zip)

CLASSES = PascalVOCWeakDataset.METAINFO['classes']
EXPECT = ('--expect', 5, 2)


def main(*args):
    voc_aug.main([*map(str, args), '--workers', '2'])


@pytest.fixture(scope='module')
def downloads(tmp_path_factory):
    """Write the archives, and the folders that they unpack to."""
    folder = tmp_path_factory.mktemp('downloads')
    write_voc(folder, [*TRAINAUG, *VAL, '2009_000001'])
    write_sbd(folder)
    write_aug(folder, [*TRAINAUG, *VAL])
    write_tar(folder / 'voc.tar', folder / 'VOCdevkit')
    older = folder / 'VOCdevkit/VOC2007/JPEGImages'
    older.mkdir(parents=True)
    (older / '000001.jpg').write_bytes(b'of another year')
    write_tar(folder / 'benchmark.tgz', folder / 'benchmark_RELEASE')
    write_zip(folder / 'aug.zip', folder / 'SegmentationClassAug')
    return folder


def make(root, downloads, *more):
    main(root, '--voc', downloads / 'voc.tar', '--sbd',
         downloads / 'benchmark.tgz', *EXPECT, *more)
    return root


@pytest.fixture(scope='module')
def made(tmp_path_factory, downloads):
    """Make a data set of VOC and SBD, not to be changed."""
    return make(tmp_path_factory.mktemp('made') / 'complete', downloads)


@pytest.fixture
def complete(tmp_path, made):
    return shutil.copytree(made, tmp_path / 'complete')


def snapshot(folder):
    """Read each file of a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def times(folder):
    """Return when each file of a folder was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*')}


def mask_of(root, name):
    return read_mask(str(root / f'SegmentationClassAug/{name}.png'), 21)


def test_one_command_makes_all_that_training_needs(made):
    complete = made
    lists = complete / 'ImageSets/Segmentation'
    assert (lists / 'trainaug.txt').read_text().split() == TRAINAUG
    assert (lists / 'val.txt').read_text().split() == VAL
    for name in [*TRAINAUG, *VAL]:
        # VOC's own masks before those that SBD has of the same images
        own = name in TRAIN + VAL
        wanted = with_void(make_mask(name)) if own else make_mask(name)
        np.testing.assert_array_equal(mask_of(complete, name), wanted)
        with Image.open(complete /
                        f'SegmentationClassAug/{name}.png') as image:
            assert image.getpalette()[:6] == [0, 0, 0, 128, 0, 0]
    assert read_label_file(str(
        complete / 'image_labels.txt')) == (CLASSES[1:], {
            name: (CLASSES[1 + int(name[-1])], 'tvmonitor')
            for name in TRAINAUG
        })
    assert Counter(os.path.dirname(path) for path in snapshot(complete)) == {
        '': 1,  # the label file
        'JPEGImages': 8,
        'Annotations': 8,
        'SegmentationClass': 4,
        'SegmentationClassAug': 7,
        'ImageSets/Segmentation': 4,
    }
    assert len(PascalVOCWeakDataset(data_root=str(complete))) == 5


@pytest.mark.parametrize('voc, other', [
    ('VOCdevkit', ('--sbd', 'benchmark_RELEASE')),
    ('VOCdevkit/VOC2012', ('--sbd', 'benchmark_RELEASE/dataset')),
    ('.', ('--aug', 'aug.zip')),
    ('voc.tar', ('--aug', 'SegmentationClassAug')),
])
def test_all_ways_lead_to_the_same_files(tmp_path, downloads, made, voc, other,
                                         capsys):
    root = tmp_path / 'root'
    main(root, '--voc', downloads / voc, other[0], downloads / other[1],
         *EXPECT)
    assert snapshot(root) == snapshot(made)
    assert capsys.readouterr().out == (
        '5 training and 2 validation images, as expected; every mask fits its '
        f'image.\n{root} is complete.\n')


def test_voc_that_is_unpacked_is_kept(tmp_path, downloads):
    root = write_voc(tmp_path, [*TRAINAUG, *VAL])
    before = snapshot(root)
    main(root, '--sbd', downloads / 'benchmark.tgz', *EXPECT)
    assert before.items() <= snapshot(root).items()


def test_masks_and_lists_that_say_the_same_are_kept(complete, downloads):
    """Accept masks without palette, and another order of images."""
    for path in complete.glob('SegmentationClassAug/*.png'):
        Image.fromarray(read_mask(str(path), 21)).save(path)
    (complete / 'ImageSets/Segmentation/trainaug.txt').write_text('\n'.join(
        TRAINAUG[::-1]))
    labels = complete / 'image_labels.txt'
    first, *lines = labels.read_text().splitlines()
    labels.write_text('\n'.join([first, *lines[::-1]]))
    before = times(complete)
    make(complete, downloads)
    assert times(complete) == before


@pytest.mark.parametrize('name, content, message', [
    ('JPEGImages/2008_000005.jpg', b'mine', 'differs from what would be'),
    ('SegmentationClassAug/2008_000005.png', b'mine', 'cannot be decoded'),
    ('ImageSets/Segmentation/trainaug.txt', b'2007_000001', 'differs from'),
    ('image_labels.txt', b'2007_000001: a\n', 'has other tags than the masks'),
])
def test_other_files_are_replaced_only_if_asked(complete, downloads, name,
                                                content, message):
    wanted = snapshot(complete)
    (complete / name).write_bytes(content)
    with pytest.raises(SystemExit, match=f'{name}: {message}'):
        make(complete, downloads)
    assert (complete / name).read_bytes() == content
    make(complete, downloads, '--overwrite')
    assert snapshot(complete) == wanted


def test_other_counts(tmp_path, downloads):
    root = tmp_path / 'root'
    with pytest.raises(
            SystemExit,
            match='found 5 training and 2 validation images, expected 10,582 '
            'and 1,449. .* has 5 masks, of which 1 are for validation'):
        main(root, '--voc', downloads / 'voc.tar', '--sbd',
             downloads / 'benchmark.tgz')
    assert not (root / 'SegmentationClassAug').exists()


def test_pairs_that_do_not_fit(tmp_path):
    root, sbd = write_voc(tmp_path, [*TRAINAUG, *VAL]), write_sbd(tmp_path)
    (root / 'JPEGImages/2007_000003.jpg').unlink()
    (root / 'JPEGImages/2007_000001.jpg').write_bytes(b'not an image')
    write_sbd_mask(sbd / 'cls/2008_000005.mat', make_mask('2007_000002'))
    write_sbd_mask(sbd / 'cls/2008_000006.mat', make_mask('2008_000006') + 3)
    with pytest.raises(SystemExit) as error:
        main(root, '--sbd', sbd, *EXPECT)
    for part in ('2007_000003.jpg', '2007_000001.jpg',
                 '2008_000005.png: has shape (22, 32), its image (25, 35)',
                 '2008_000006.png: found the values [23]',
                 '4 of 7 pairs of image and mask cannot be used'):
        assert part in str(error.value)
    assert not (root / 'ImageSets/Segmentation/trainaug.txt').exists()
    assert not (root / 'image_labels.txt').exists()


@pytest.mark.parametrize('name, option, other', [
    ('voc.tar', '--voc', ('--sbd', 'benchmark.tgz')),
    ('benchmark.tgz', '--sbd', ('--voc', 'voc.tar')),
    ('aug.zip', '--aug', ('--voc', 'voc.tar')),
])
def test_a_download_that_was_cut_off(tmp_path, downloads, name, option, other):
    path, content = tmp_path / name, (downloads / name).read_bytes()
    path.write_bytes(content[:len(content) * 2 // 3])
    args = (tmp_path / 'root', option, path, other[0], downloads / other[1],
            *EXPECT)
    with pytest.raises(
            SystemExit,
            match=f'{name}: not a tar or zip file, or a |'
            'png: no such mask'):
        main(*args)
    path.write_bytes(content)
    main(*args)


def test_wrong_paths(tmp_path, downloads):
    root, sbd = tmp_path / 'root', downloads / 'benchmark.tgz'
    for args, message in (
        (('--sbd', sbd), 'root/ImageSets/Segmentation/train.txt: no such fi'),
        (('--voc', tmp_path / 'a.tar', '--sbd', sbd), 'a.tar: no such file'),
    ):
        with pytest.raises(SystemExit, match=message):
            main(root, *args, *EXPECT)
        assert not root.exists()


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
    with pytest.raises(SystemExit, match='train.txt: no such file'):
        main(tmp_path / 'data', '--voc', tmp_path / 'voc.tar', '--sbd',
             downloads / 'benchmark.tgz')
    assert sorted(os.listdir(tmp_path)) == ['data', 'outside', 'voc.tar']
    assert not list(outside.iterdir())
    assert snapshot(tmp_path / 'data') == {evil: b'data'}


def test_interrupted_at_a_file_and_started_again(tmp_path, downloads, made,
                                                 monkeypatch):
    """Do not take half of a file for the whole."""
    wanted = snapshot(made)
    write_bytes = Path.write_bytes
    for number in range(0, len(wanted), 9):
        root, left = tmp_path / str(number), [number]

        def stop(path, content):
            left[0] -= 1
            if left[0] < 0:
                write_bytes(path, content[:len(content) // 2])
                raise KeyboardInterrupt
            write_bytes(path, content)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, 'write_bytes', stop)
            make(root, downloads)
        assert not (root / 'image_labels.txt').exists()
        assert len(snapshot(root)) == number
        make(root, downloads)
        assert snapshot(root) == wanted
