# Copyright (c) mmseg_afa contributors. All rights reserved.
import errno
import os
import signal
import threading

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


def test_an_error_keeps_the_old_file(path):
    with pytest.raises(RuntimeError), replacing(path) as unfinished:
        unfinished.write_text('ne')
        raise RuntimeError
    assert path.read_text() == 'old'
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_process_keeps_the_old_file(path):
    child = os.fork()
    if child == 0:
        with replacing(path) as unfinished:
            unfinished.write_text('ne')
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.read_text() == 'old'
    others = [path.with_name(name) for name in ('.a.tmp.txt', '.hidden')]
    for other in others:
        other.touch()
    assert len(list(path.parent.iterdir())) == 4
    remove_unfinished(path.parents[1])
    assert set(path.parent.iterdir()) == {path, *others}


def test_two_writers_of_one_file(path):
    """Replace the file by one text or the other, not by a mixture."""
    texts = ['x' * 10**6, 'y' * 10**6]

    def write(text):
        for _ in range(20):
            with replacing(path) as unfinished:
                unfinished.write_text(text)
            assert path.read_text() in texts

    threads = [threading.Thread(target=write, args=[text]) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts
    assert list(path.parent.iterdir()) == [path]


def test_mmengine_writes_whole_files(tmp_path, monkeypatch):
    """Write through mmengine's fileio, as its checkpoints are."""
    path = tmp_path / 'new folder' / 'a.pth'
    fileio.put(b'old', path)

    def full(*args):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        fileio.put(b'new', path)
    assert path.read_bytes() == b'old'
    assert list(path.parent.iterdir()) == [path]
