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
    remove_unfinished(path.parents[1])
    assert set(path.parent.iterdir()) == {path, other}


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
