# Copyright (c) mmseg_afa contributors. All rights reserved.
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmseg_afa.datasets import (PascalVOCWeakDataset, read_label_file,
                                write_label_file)
from mmseg_afa.datasets.mask_file import read_mask
from .voc_archives import (TRAIN, TRAINAUG, VAL, make_mask, with_void,
                           write_aug, write_sbd, write_sbd_mask, write_tar,
                           write_voc, write_zip)

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'tools/dataset_converters/voc_aug.py'
CLASSES = PascalVOCWeakDataset.METAINFO['classes']
EXPECT = ('--expect', 5, 2)


@pytest.fixture
def main(monkeypatch):
    """The command in this process, which takes no time to start."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from voc_aug import main
    return lambda *args: main([*map(str, args), '--workers', '1'])


@pytest.fixture(scope='module')
def downloads(tmp_path_factory):
    """The archives, and beside them the folders that they unpack to."""
    folder = tmp_path_factory.mktemp('downloads')
    write_voc(folder, [*TRAINAUG, *VAL, '2009_000001'])
    write_sbd(folder)
    write_aug(folder, [*TRAINAUG, *VAL])
    write_tar(folder / 'voc.tar', folder / 'VOCdevkit')
    write_tar(folder / 'benchmark.tgz', folder / 'benchmark_RELEASE')
    write_zip(folder / 'aug.zip', folder / 'SegmentationClassAug')
    return folder


@pytest.fixture
def complete(tmp_path, downloads, main):
    """A data set made of VOC and SBD."""
    return make(tmp_path / 'complete', downloads, main)


def make(root, downloads, main, *more):
    main(root, '--voc', downloads / 'voc.tar', '--sbd',
         downloads / 'benchmark.tgz', *EXPECT, *more)
    return root


def snapshot(folder):
    """Path and content of each file."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*') if path.is_file()
    }


def mask_of(root, name):
    return read_mask(str(root / f'SegmentationClassAug/{name}.png'), 21)


def test_one_command_makes_all_that_training_needs(complete):
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
    classes, labels = read_label_file(str(complete / 'image_labels.txt'))
    assert classes == CLASSES[1:]
    assert labels == {
        name: (CLASSES[1 + int(name[-1])], 'tvmonitor')
        for name in TRAINAUG
    }
    assert len(PascalVOCWeakDataset(data_root=str(complete))) == 5
    val = PascalVOCWeakDataset(
        data_root=str(complete),
        ann_file='ImageSets/Segmentation/val.txt',
        test_mode=True)
    assert len(val) == 2


def test_the_table_of_what_was_checked(tmp_path, downloads, main, capsys):
    make(tmp_path, downloads, main)
    table = [[cell.strip() for cell in line.split('│')[1:4]]
             for line in capsys.readouterr().out.split('\n') if '│' in line]
    assert table == [
        ['training images', '5', '5'],
        ['validation images', '2', '2'],
        ['images in both', '0', '0'],
        ['pairs that do not fit', '0', '0'],
        ["masks in VOC's colours", '7', 'any'],
    ]


def test_what_is_unpacked(complete):
    files = snapshot(complete)
    count = {}
    for path in files:
        folder = str(Path(path).parent)
        count[folder] = count.get(folder, 0) + 1
    assert count == {
        '.': 1,  # the label file
        'JPEGImages': 8,
        'Annotations': 8,
        'SegmentationClass': 4,
        'SegmentationClassAug': 7,
        'ImageSets/Segmentation': 4,
    }
    for name in TRAIN + VAL:  # without loss: copied
        assert (files[f'SegmentationClass/{name}.png'] ==
                files[f'SegmentationClassAug/{name}.png'])


@pytest.mark.parametrize('voc, other', [
    ('VOCdevkit', ('--sbd', 'benchmark_RELEASE')),
    ('VOCdevkit/VOC2012', ('--sbd', 'benchmark_RELEASE/dataset')),
    ('.', ('--aug', 'aug.zip')),
    ('voc.tar', ('--aug', 'SegmentationClassAug')),
])
def test_all_ways_lead_to_the_same_files(tmp_path, downloads, main, complete,
                                         voc, other):
    root = tmp_path / 'root'
    main(root, '--voc', downloads / voc, other[0], downloads / other[1],
         *EXPECT)
    assert snapshot(root) == snapshot(complete)


def test_several_processes_write_the_same_files(tmp_path, downloads, main,
                                                complete):
    root = tmp_path / 'root'
    sys.modules['voc_aug'].main([
        str(root), '--voc',
        str(downloads / 'voc.tar'), '--sbd',
        str(downloads / 'benchmark.tgz'), '--expect', '5', '2', '--workers',
        '3'
    ])
    assert snapshot(root) == snapshot(complete)


def test_voc_that_is_unpacked_is_not_touched(tmp_path, downloads, main):
    root = write_voc(tmp_path, [*TRAINAUG, *VAL])
    before = snapshot(root)
    main(root, '--sbd', downloads / 'benchmark.tgz', *EXPECT)
    after = snapshot(root)
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 7 + 2


def test_a_second_run_writes_nothing(complete, downloads, main):

    def times():
        return {path: path.stat().st_mtime_ns for path in complete.rglob('*')}

    before = times()
    make(complete, downloads, main)
    assert times() == before


def test_masks_and_lists_that_say_the_same_are_kept(tmp_path, downloads, main,
                                                    complete, capsys):
    """Masks without palette, and another order of images."""
    root = write_voc(tmp_path, [*TRAINAUG, *VAL])
    (root / 'SegmentationClassAug').mkdir()
    for name in [*TRAINAUG, *VAL]:
        Image.fromarray(mask_of(complete, name)).save(
            root / f'SegmentationClassAug/{name}.png')
    (root / 'ImageSets/Segmentation/trainaug.txt').write_text('\n'.join(
        TRAINAUG[::-1]))
    _, labels = read_label_file(str(complete / 'image_labels.txt'))
    write_label_file(
        str(root / 'image_labels.txt'), CLASSES[1:],
        dict(reversed(labels.items())))
    before = snapshot(root)
    capsys.readouterr()
    main(root, '--aug', root / 'SegmentationClassAug', *EXPECT)
    assert snapshot(root) == before
    assert "│ masks in VOC's colours │ 0     │ any" in capsys.readouterr().out


def flip(path):
    mask = read_mask(str(path), 21)
    mask[0, 0] = 20 - mask[0, 0]
    Image.fromarray(mask).save(path)


@pytest.mark.parametrize('name, change', [
    ('JPEGImages/2008_000005.jpg', lambda path: path.write_bytes(b'mine')),
    ('SegmentationClassAug/2007_000001.png', flip),
    ('SegmentationClassAug/2008_000005.png', flip),
    ('SegmentationClassAug/2008_000005.png',
     lambda path: path.write_bytes(path.read_bytes()[:50])),
    ('ImageSets/Segmentation/trainaug.txt',
     lambda path: path.write_text('2007_000001')),
    ('image_labels.txt', lambda path: path.write_text('2007_000001: a\n')),
    ('image_labels.txt', lambda path: path.write_text('no label file\n')),
])
def test_other_files_are_replaced_only_if_asked(complete, downloads, main,
                                                name, change):
    path = complete / name
    wanted = snapshot(complete)
    change(path)
    changed = path.read_bytes()
    with pytest.raises(SystemExit, match=f"1 files .* differ .*{name}'. Move"):
        make(complete, downloads, main)
    assert path.read_bytes() == changed
    make(complete, downloads, main, '--overwrite')
    assert snapshot(complete) == wanted


def test_all_masks_that_differ_are_counted(complete, downloads, main):
    for name in TRAINAUG[2:]:
        flip(complete / f'SegmentationClassAug/{name}.png')
    with pytest.raises(SystemExit, match='3 files are there that differ'):
        make(complete, downloads, main)


@pytest.mark.parametrize('other', [('--sbd', 'benchmark.tgz'),
                                   ('--aug', 'aug.zip')])
def test_other_counts(tmp_path, downloads, main, other):
    root = tmp_path / 'root'
    with pytest.raises(
            SystemExit,
            match='found 5 training and 2 validation images, expected 10,582 '
            'and 1,449. VOC lists 2 to train on, the other source has [57], '
            'of which [12] are to validate on'):
        main(root, '--voc', downloads / 'voc.tar', other[0],
             downloads / other[1])
    assert not (root / 'SegmentationClassAug').exists()


def finish(root, main, sbd):
    """Run the command on what is expected to fail, and see that it stops."""
    with pytest.raises(SystemExit) as error:
        main(root, '--sbd', sbd, *EXPECT)
    assert not (root / 'ImageSets/Segmentation/trainaug.txt').exists()
    assert not (root / 'image_labels.txt').exists()
    return str(error.value)


@pytest.fixture
def unpacked(tmp_path):
    return write_voc(tmp_path, [*TRAINAUG, *VAL]), write_sbd(tmp_path)


def test_pairs_that_do_not_fit(unpacked, main, capsys):
    root, sbd = unpacked
    (root / 'JPEGImages/2007_000003.jpg').unlink()
    (root / 'JPEGImages/2007_000001.jpg').write_bytes(b'no image')
    (sbd / 'cls/2008_000006.mat').unlink()
    write_sbd_mask(sbd / 'cls/2008_000005.mat', make_mask('2007_000002'))
    message = finish(root, main, sbd)
    for part in ('2007_000003.jpg', '2007_000001.jpg',
                 '2008_000006.png: no such mask',
                 '2008_000005.png: has shape (22, 32), its image (25, 35)',
                 '4 of 7 pairs of image and mask cannot be used'):
        assert part in message
    assert '│ pairs that do not fit  │ 4     │ 0 ' in capsys.readouterr().out


def test_broken_masks_are_named(unpacked, main, tmp_path):
    root, sbd = unpacked
    path = sbd / 'cls/2008_000006.mat'
    content = path.read_bytes()
    path.write_bytes(content[:200])
    assert finish(root, main, sbd).startswith(f'{path}: cannot be read as a ')
    tgz = write_tar(tmp_path / 'b.tgz', sbd.parent)
    assert finish(root, main, tgz).startswith(
        f'{tgz}/benchmark_RELEASE/dataset/cls/2008_000006.mat: cannot be read')
    path.write_bytes(content)
    path = root / 'SegmentationClass/2007_000003.png'
    Image.new('RGB', (33, 23)).save(path)
    assert finish(root, main, sbd).startswith(f'{path}: found shape (23, 33,')


def test_missing_masks_of_voc(unpacked, main):
    root, sbd = unpacked
    (root / 'SegmentationClass/2007_000003.png').unlink()
    assert '1 of 4 masks of VOC are missing' in finish(root, main, sbd)


@pytest.mark.parametrize('name', ['dataset/val.txt', 'dataset/train.txt'])
def test_missing_lists_of_sbd(unpacked, main, name):
    root, sbd = unpacked
    (sbd.parent / name).unlink()
    assert 'no dataset/train.txt and dataset/val' in finish(root, main, sbd)


def test_names_of_sbd_stay_in_the_folder(unpacked, main):
    root, sbd = unpacked
    (sbd / 'val.txt').write_text('../../2008_000007\n')
    assert "'../../2008_000007' leads out of" in finish(root, main, sbd)


def test_wrong_paths(tmp_path, downloads, main):
    empty = tmp_path / 'empty'
    empty.mkdir()
    root = tmp_path / 'root'
    voc, sbd = downloads / 'voc.tar', downloads / 'benchmark.tgz'
    for args, message in (
        (('--sbd', sbd), 'root/ImageSets/Segmentation/train.txt: no such fi'),
        (('--sbd', tmp_path / 'a.tgz'), 'a.tgz: no such file or folder'),
        (('--voc', tmp_path / 'a.tar', '--sbd', sbd), 'a.tar: no such file'),
        (('--voc', sbd, '--sbd', sbd), 'benchmark.tgz: holds no file of VOC'),
    ):
        with pytest.raises(SystemExit, match=message):
            main(root, *args, *EXPECT)
        assert not root.exists()
    with pytest.raises(SystemExit, match='empty: has no masks'):
        main(root, '--voc', voc, '--aug', empty, *EXPECT)


def test_usage(tmp_path, downloads, main, capsys):
    for args, message in (
        ((), 'one of the arguments --sbd --aug is required'),
        (('--sbd', 'a', '--aug', 'b'), 'not allowed with argument'),
        (('--sbd', 'a', '--expect', '5'), 'expected 2 arguments'),
        (('--sbd', 'a', '--expect', '5', '0'), '0 must be at least 1'),
    ):
        with pytest.raises(SystemExit):
            main(tmp_path, *args)
        assert message in capsys.readouterr().err


@pytest.mark.parametrize('attack', [
    dict(name='../../../JPEGImages/evil.jpg'),
    dict(name='{outside}/JPEGImages/evil.jpg'),
    dict(name='JPEGImages', type=tarfile.SYMTYPE, linkname='{outside}'),
    dict(
        name='JPEGImages/evil.jpg',
        type=tarfile.LNKTYPE,
        linkname='../../outside/secret'),
    dict(name='JPEGImages/evil.jpg', type=tarfile.CHRTYPE),
])
def test_evil_archives(tmp_path, main, downloads, attack):
    outside = tmp_path / 'outside'
    outside.mkdir()
    (outside / 'secret').write_text('secret')
    with tarfile.open(tmp_path / 'voc.tar', 'w') as archive:
        member = tarfile.TarInfo()
        for key, value in attack.items():
            if isinstance(value, str):
                value = value.format(outside=outside)
            setattr(member, key, value)
        member.size = 4 * (member.type == tarfile.REGTYPE)
        archive.addfile(member, io.BytesIO(b'evil'))
        member = tarfile.TarInfo('JPEGImages/evil.jpg')
        member.size = 4
        archive.addfile(member, io.BytesIO(b'evil'))
    with pytest.raises(SystemExit, match='voc.tar: refused, for .*'):
        main(tmp_path / 'data/VOCdevkit/VOC2012', '--voc',
             tmp_path / 'voc.tar', '--sbd', downloads / 'benchmark.tgz')
    assert sorted(os.listdir(tmp_path)) == ['outside', 'voc.tar']
    assert os.listdir(outside) == ['secret']


def run(*args):
    """Start the command as a user does."""
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ, 'PYTHONPATH': str(ROOT)
        })


def test_errors_come_without_a_traceback(tmp_path, downloads):
    process = run(tmp_path, '--sbd', downloads / 'benchmark.tgz')
    _, stderr = process.communicate()
    assert process.returncode == 1
    assert 'train.txt: no such file. Correct' in stderr
    assert 'Traceback' not in stderr


def killed_while_writing(number, run):
    """Kill a process in the middle of a file that it writes.

    Returns:
        bool: Whether there were as many files to write.
    """
    child = os.fork()
    if child == 0:
        write, count = Path.write_bytes, iter(range(number))

        def write_half(path, content):
            if next(count, None) is None:
                write(path, content[:len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return write(path, content)

        Path.write_bytes = write_half
        run()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_file_and_started_again(tmp_path, downloads, main,
                                              complete):
    wanted = snapshot(complete)
    number = 0
    while True:
        root = tmp_path / str(number)
        if not killed_while_writing(number,
                                    lambda: make(root, downloads, main)):
            break
        assert not (root / 'image_labels.txt').exists()
        left = [path for path in root.rglob('.*') if path.is_file()]
        assert len(left) == 1
        make(root, downloads, main)
        assert snapshot(root) == wanted
        number += 1
    assert number == len(wanted)  # it was killed at each of them


def test_a_killed_command_with_its_processes(tmp_path, main):
    names = [f'2008_{i:06d}' for i in range(800)]
    voc = write_voc(tmp_path, names[:1], names[:1], names[-1:])
    sbd = write_sbd(tmp_path, names[:1], [])
    for path in (voc / f'JPEGImages/{names[0]}.jpg',
                 sbd / f'cls/{names[0]}.mat',
                 voc / f'SegmentationClass/{names[0]}.png'):
        for name in names[1:]:
            path.with_name(name + path.suffix).write_bytes(path.read_bytes())
    (sbd / 'train.txt').write_text('\n'.join(names))
    tgz = write_tar(tmp_path / 'benchmark.tgz', sbd.parent)
    args = ['--voc', voc, '--sbd', tgz, '--expect', 799, 1]

    process = run(tmp_path / 'killed', *args, '--workers', 2)
    masks = tmp_path / 'killed/SegmentationClassAug'
    while not masks.is_dir() or len(os.listdir(masks)) < 50:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()  # until its processes have closed their ends
    assert not (tmp_path / 'killed/image_labels.txt').exists()

    main(tmp_path / 'killed', *args)
    main(tmp_path / 'undisturbed', *args)
    assert snapshot(tmp_path / 'killed') == snapshot(tmp_path / 'undisturbed')
