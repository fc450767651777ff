# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read the files of an archive, without letting it choose where they go."""
import lzma
import os.path as osp
import posixpath
import stat
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from functools import partial
from gzip import BadGzipFile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Callable, Iterator, NamedTuple, Optional, Union

import rich.progress
from rich.console import Console

# What tarfile and zipfile raise for broken, encrypted or odd files.
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, BadGzipFile, zlib.error,
          lzma.LZMAError, EOFError, RuntimeError)
MAX_FILE = 2**30  # bytes; far more than an image or a mask takes
MAX_RATIO = 200  # photographs do not shrink, text does to a tenth or so


class Member(NamedTuple):
    """A file of an archive.

    Attributes:
        name (str): Its path in the archive, with '/' between folders.
        size (int): Number of bytes, unpacked.
        read (Callable): Returns its content, before the next member is asked
            for.
    """
    name: str
    size: int
    read: Callable[[], bytes]


def read_members(path: Union[str, Path],
                 wanted: Callable[[str], object],
                 description: Optional[str] = None) -> Iterator[Member]:
    """Read the files of an archive one after the other.

    Nothing is written, so nothing can be written to a place that the archive
    chose: where a file goes is up to the caller, who knows which names to
    expect. Archives that would try are refused nevertheless: a zip file before
    its first member, a tar file, whose names are spread over it, when the
    reading comes to the name.

    Args:
        path (str or Path): A tar file, compressed or not, a zip file, or a
            folder, which is read as if it were unpacked from an archive.
        wanted (Callable): Whether to read a file, told by its name.
        description (str, optional): Show how much has been read, with this
            before the bar.

    Yields:
        Member: A file, in the order of the archive or of the names.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If it is no archive or a damaged one, if a member or a
            link leads out of it, if a member is a device, a link where a
            file is wanted, or if it unpacks to absurdly many bytes.
    """
    path = Path(path)
    if path.is_dir():
        yield from _read_folder(path, wanted, description)
        return
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file or folder.')
    with _open(path, description) as file, _damage_explained(path):
        read = _read_zip if zipfile.is_zipfile(path) else _read_tar
        yield from read(path, file, wanted)


def _open(path, description):
    if description is None:
        return open(path, 'rb')
    return rich.progress.open(
        path, 'rb', description=description, console=Console(stderr=True))


@contextmanager
def _damage_explained(path):
    try:
        yield
    except DAMAGE as error:
        raise ValueError(
            f'{path}: no tar or zip file, or a damaged one ({error}): is the '
            'download complete? Get it again.') from error


def _read_folder(path, wanted, description):
    files = sorted(
        file for file in path.rglob('*')
        if wanted(_name(file, path)) and file.is_file())
    if description is not None:
        files = rich.progress.track(
            files, description, console=Console(stderr=True))
    for file in files:
        yield Member(_name(file, path), file.stat().st_size, file.read_bytes)


def _name(file, folder):
    return file.relative_to(folder).as_posix()


def _read_zip(path: Path, file: BinaryIO, wanted: Callable) -> Iterator:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        total = 0
        for member in members:
            _check_names(path, member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refusal(path, member.filename, 'is a link or a device')
            total += member.file_size
            _check_size(path, member.filename, member.file_size, total)
        for member in members:
            if wanted(member.filename) and not member.is_dir():
                yield Member(member.filename, member.file_size,
                             partial(_read, path, archive.open, member))


def _read_tar(path: Path, file: BinaryIO, wanted: Callable) -> Iterator:
    with tarfile.open(fileobj=file) as archive:
        total = 0
        for member in iter(archive.next, None):
            archive.members.clear()  # which would grow with their number
            _check_kind(path, member)
            total += member.size
            _check_size(path, member.name, member.size, total)
            if not wanted(member.name) or member.isdir():
                continue
            if not member.isfile():
                raise _refusal(path, member.name, 'is a link, not a file')
            yield Member(member.name, member.size,
                         partial(_read, path, archive.extractfile, member))
        while archive.fileobj.read(2**20):  # to the checksum at the end
            pass


def _read(path, open_member, member):
    with _damage_explained(path), open_member(member) as file:
        return file.read()


def _check_names(path, name, *more):
    for leads_to in (name, *more):
        parts = PurePosixPath(leads_to.replace('\\', '/'))
        if (parts.is_absolute() or '..' in parts.parts
                or leads_to[1:2] == ':'):
            raise _refusal(path, name, 'leads out of the archive')


def _check_kind(path, member):
    if member.islnk():
        _check_names(path, member.name, member.linkname)
    elif member.issym():
        # It may climb, as long as it stays inside.
        target = posixpath.join(member.name, '..', member.linkname)
        _check_names(path, member.name, posixpath.normpath(target))
    elif member.isfile() or member.isdir():
        _check_names(path, member.name)
    else:
        raise _refusal(path, member.name, 'is a device')


def _check_size(path, name, size, total):
    if size > MAX_FILE:
        raise _refusal(path, name, f'unpacks to {size:,} bytes')
    if total > max(MAX_FILE, MAX_RATIO * osp.getsize(path)):
        raise _refusal(
            path, name, f'brings the files to {total:,} bytes, '
            f'over {MAX_RATIO} times the size of the archive')


def _refusal(path, name, found):
    return ValueError(f'{path}: refused, for {name!r} {found}. This is not '
                      'the archive it should be: get it from its own site.')
