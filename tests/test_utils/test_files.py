# Copyright (c) mmseg_afa contributors. All rights reserved.
import errno
import os
import signal

import pytest
from mmengine import fileio

from mmseg_afa.utils import remove_unfinished, replacing


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('old')
    return path


def test_replaces_the_file(path):
    with replacing(path) as unfinished:
        unfinished.write_text('new')
        assert path.read_text() == 'old'
        assert unfinished.suffix == '.txt'
    assert path.read_text() == 'new'
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_process_keeps_the_old_file(path):
    child = os.fork()
    if child == 0:
        with replacing(path) as unfinished:
            unfinished.write_text('ne')
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.read_text() == 'old'
    other = path.with_name('.a.tmp.txt')
    other.touch()
    assert len(list(path.parent.iterdir())) == 3
    unfinished, = path.parent.glob('.a.????????.tmp.txt')
    remove_unfinished(path.parents[1])  # its process may still be writing
    assert unfinished.exists()
    for old in unfinished, other:
        os.utime(old, (0, 0))
    remove_unfinished(path.parents[1])
    assert set(path.parent.iterdir()) == {path, other}


def test_two_processes_write_one_file(path):
    """Leave one of the files as a whole, and none besides."""
    child = os.fork()
    name = 'child' if child == 0 else 'parent'
    for _ in range(100):
        with replacing(path) as unfinished, open(unfinished, 'w') as file:
            for _ in range(10):
                print(name, file=file, flush=True)
        remove_unfinished(path.parent)
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert path.read_text() in ('child\n' * 10, 'parent\n' * 10)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('put, old, new', [
    (fileio.put, b'old', b'new'),
    (fileio.put_text, 'old', 'new'),
    (lambda item, path: fileio.dump(item, str(path)), [1], [2]),
])
def test_mmengine_writes_whole_files(tmp_path, monkeypatch, put, old, new):
    """Write through mmengine's fileio, as its checkpoints are."""
    path = tmp_path / 'new folder' / 'a.json'
    put(old, path)
    before = path.read_bytes()

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        put(new, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
