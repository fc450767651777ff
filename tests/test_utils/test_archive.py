# Copyright (c) mmseg_afa contributors. All rights reserved.
import io
import os
import stat
import tarfile
import zipfile

import pytest

from mmseg_afa.utils import archive, read_members

FILES = {'a/1.txt': b'one', 'a/b/2.txt': b'two' * 50_000, '3.png': b''}


def add_to_tar(archive, name, content=b'', **attributes):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in attributes.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def write_tar(path, files=FILES, mode='w', **last):
    with tarfile.open(path, mode) as archive:
        add_to_tar(archive, 'a', type=tarfile.DIRTYPE)
        for name, content in files.items():
            add_to_tar(archive, name, content)
        if last:
            add_to_tar(archive, **last)
    return path


def write_zip(path, files=FILES, last=None, attributes=0):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('a/', '')
        for name, content in files.items():
            archive.writestr(name, content)
        if last is not None:
            member = zipfile.ZipInfo(last)
            member.external_attr = attributes << 16
            archive.writestr(member, '/etc/passwd')
    return path


def write_folder(path):
    for name, content in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_tgz(path):
    return write_tar(path, mode='w:gz')


def read(path, wanted=lambda name: True, **kwargs):
    members = read_members(path, wanted, **kwargs)
    return {name: (size, read()) for name, size, read in members}


WRITERS = pytest.mark.parametrize(
    'write', [write_tar, write_tgz, write_zip, write_folder])


@WRITERS
@pytest.mark.parametrize('description', [None, 'Reading'])
def test_reads_what_was_written(tmp_path, write, description, capsys):
    path = write(tmp_path / 'archive')
    found = read(path, description=description)
    assert found == {n: (len(c), c) for n, c in FILES.items()}
    assert ('Reading' in capsys.readouterr().err) == bool(description)


@WRITERS
def test_reads_only_what_is_wanted(tmp_path, write):
    path = write(tmp_path / 'archive')
    assert list(read(path, lambda name: 'b/' in name)) == ['a/b/2.txt']


def test_content_that_is_not_asked_for_may_be_damaged(tmp_path):
    """Files that are there already cost no reading of a zip file."""
    path = write_zip(tmp_path / 'a.zip')
    content = bytearray(path.read_bytes())
    content[content.index(b'a/b/2.txt') + 12] ^= 255
    path.write_bytes(content)
    assert [member.size
            for member in read_members(path, bool)] == [3, 150000, 0]
    with pytest.raises(ValueError, match='a.zip: no tar or zip file, or a da'):
        read(path)


OUTSIDE = ['/outside', '../outside', 'a/../../outside', '..\\outside',
           'a\\..\\..\\outside', 'C:\\outside', 'C:/outside', '\\outside',
           'a/..']  # yapf: disable


@pytest.mark.parametrize('name', OUTSIDE)
def test_names_that_lead_out(tmp_path, name):
    path = write_tar(tmp_path / 'a.tar', name=name, content=b'x')
    with pytest.raises(
            ValueError, match='a.tar: refused, .* leads out of the'):
        read(path)
    path = write_zip(tmp_path / 'a.zip', last=name)
    with pytest.raises(ValueError, match='leads out of the archive'):
        next(read_members(path, bool))  # before the first file
    assert sorted(os.listdir(tmp_path)) == ['a.tar', 'a.zip']


@pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize('target',
                         ['/etc/passwd', '../../passwd', 'b/../../../c'])
def test_links_that_lead_out(tmp_path, kind, target):
    path = write_tar(
        tmp_path / 'a.tar', name='a/link', type=kind, linkname=target)
    with pytest.raises(ValueError, match="for 'a/link' leads out of"):
        read(path, lambda name: name == '3.png')


@pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_inside(tmp_path, kind):
    target = '../3.png' if kind == tarfile.SYMTYPE else '3.png'
    path = write_tar(
        tmp_path / 'a.tar', name='a/link', type=kind, linkname=target)
    assert list(read(path, lambda name: name in FILES)) == list(FILES)
    with pytest.raises(ValueError, match="'a/link' is a link, not a file"):
        read(path)


@pytest.mark.parametrize('kind',
                         [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices(tmp_path, kind):
    path = write_tar(tmp_path / 'a.tar', name='a/device', type=kind)
    with pytest.raises(ValueError, match="for 'a/device' is a device"):
        read(path, lambda name: name in FILES)


@pytest.mark.parametrize('kind', [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_zip_files(tmp_path, kind):
    path = write_zip(tmp_path / 'a.zip', last='a/odd', attributes=kind | 0o644)
    with pytest.raises(ValueError, match="'a/odd' is a link or a device"):
        next(read_members(path, lambda name: name in FILES))


@pytest.mark.parametrize('write', [write_tgz, write_zip])
def test_absurd_sizes(tmp_path, write, monkeypatch):
    path = write(tmp_path / 'archive')
    monkeypatch.setattr(archive, 'MAX_FILE', 100_000)
    with pytest.raises(ValueError, match="'a/b/2.txt' unpacks to 150,000 byt"):
        read(path)
    monkeypatch.setattr(archive, 'MAX_FILE', 150_000)
    monkeypatch.setattr(archive, 'MAX_RATIO', 10)
    with pytest.raises(ValueError, match='to 150,003 bytes, over 10 times'):
        read(path)
    monkeypatch.setattr(archive, 'MAX_FILE', 150_003)
    assert len(read(path)) == 3


@pytest.mark.parametrize('write', [write_tar, write_tgz, write_zip])
@pytest.mark.parametrize('part', [0, 0.3, 0.9])
def test_cut_off(tmp_path, write, part):
    path = write(tmp_path / 'archive')
    content = path.read_bytes()
    path.write_bytes(content[:int(part * len(content))])
    with pytest.raises(ValueError, match='archive: no tar or zip file, or a '):
        read(path)


def test_another_kind_of_file(tmp_path):
    path = tmp_path / 'benchmark.tgz'
    path.write_text('<html>Sorry, we have moved</html>' * 100)
    with pytest.raises(ValueError, match='is the download complete?'):
        read(path)


def test_a_wrong_checksum_is_found_at_the_end(tmp_path):
    path = write_tgz(tmp_path / 'a.tgz')
    content = bytearray(path.read_bytes())
    content[-5] ^= 1  # of the length, after the CRC
    path.write_bytes(content)
    with pytest.raises(ValueError, match='a.tgz: no tar or zip file, or a da'):
        read(path, lambda name: False)


def test_encrypted(tmp_path):
    path = write_zip(tmp_path / 'a.zip')
    content = bytearray(path.read_bytes())
    for signature, offset in ((b'PK\1\2', 8), (b'PK\3\4', 6)):
        start = 0
        while (start := content.find(signature, start) + 1):
            content[start - 1 + offset] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match='a.zip: .*password required'):
        read(path)


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='a.zip: no such file or fold'):
        read(tmp_path / 'a.zip')


def test_memory_does_not_grow_with_the_members(tmp_path):
    """tarfile itself keeps a note of each."""
    path = write_tar(tmp_path / 'a.tar', {str(i): b'' for i in range(2000)})
    kept = []
    for member in read_members(path, bool):
        kept.append(len(member.read.args[1].__self__.members))
    assert len(kept) == 2000 and max(kept) <= 1
